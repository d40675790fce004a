"""Report text -> the 14 CheXpert observations, by rules that can be read and checked.

Each mention of an observation in a sentence is positive unless a cue within reach makes it
negative or uncertain; organs (heart, mediastinum, lungs) are read through their predicate. The
wording is in ``indexer.reports.patterns``, the cues in ``indexer.reports.negation``. Conventions,
those of the CheXpert labeler unless noted:

- An observation gets a label only where it is worded: consolidation does not imply lung opacity.
  "Lungs are clear" is a negative Lung Opacity and says nothing of the others.
- positive > uncertain > negative, within a sentence and over a report.
- A change is not a state: "no change in the effusion" is a positive effusion, "stable heart size"
  nothing. "Upper limits of normal" is normal; "borderline" is uncertain.
- "Likely", "may represent", "versus" and a bare "A or B" are uncertain; "consistent with" is
  positive; "no definite" is negative.
- A healed fracture is a fracture; a calcified granuloma or nodule is no lung lesion; a nodular
  opacity is a lung lesion and not also a lung opacity; vascular congestion is uncertain edema;
  degenerative change has no label.
- No Finding is positive or absent, never negative or uncertain. A sentence has it where it calls
  the whole image normal; a report has it where it names nothing positive or uncertain but Support
  Devices and does say something: at least one negative finding or a normal image (the CheXpert
  labeler gives it to an empty report as well).
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from db.labels import NO_FINDING, OBSERVATIONS, State, named
from indexer.reports import patterns as rules
from indexer.reports.negation import DISJUNCTION, Cues, blank

LABELLER_VERSION = "rules-1"
"""Changes whenever a label could: reference labels and index manifests name it."""

_RANK: dict[State, int] = {"negative": 0, "uncertain": 1, "positive": 2}
_REDACTED = re.compile(r"\b(?:x{3,}|_{2,})\b|\[\*\*.{0,80}?\*\*\]")
_COORDINATED = re.compile(
    r" (?:(?:heart|cardiac|lungs?|hila\w*|mediastin\w+|size|contours?|silhouettes?)"
    r"(?:,? and|,| or)? ?)+$"
)
_MAX_CHARS = 2_000
"""Of a sentence that is read; no radiologist writes a longer one."""


def label_sentence(text: str) -> dict[str, State]:
    """What one sentence says of each observation; what it does not mention is absent."""
    return dict(_label(text[:_MAX_CHARS]))


def label_report(sentences: Iterable[str]) -> dict[str, State]:
    """The sentences' labels merged, in the order of ``db.labels.OBSERVATIONS``."""
    merged: dict[str, State] = {}
    for sentence in sentences:
        for name, state in label_sentence(sentence).items():
            _raise(merged, name, state)
    says_something = any(name != "Support Devices" for name in merged)
    merged.pop(NO_FINDING, None)
    if says_something and not named(merged) - {"Support Devices"}:
        merged[NO_FINDING] = "positive"
    return _ordered(merged)


@lru_cache(maxsize=65_536)
def _label(text: str) -> tuple[tuple[str, State], ...]:
    text = " ".join(_REDACTED.sub(" ", text.lower()).split())
    text = blank(rules.MASKED, text)
    labels: dict[str, State] = {}
    mentions = _mentions(text)
    cues = Cues(text, mentions)
    disjoint = _disjoint(mentions, text)
    for name, start, end in mentions:
        state = cues.state(start, end)
        if state == "positive" and (name, start) in disjoint:
            state = "uncertain"
        _raise(labels, name, state)
    if "Edema" not in labels:
        for match in rules.CONGESTION.finditer(text):
            state = cues.state(match.start(), match.end())
            _raise(labels, "Edema", "uncertain" if state == "positive" else state)
    for name in rules.SUBJECTS:
        for state in _predicates(name, text, cues):
            _raise(labels, name, state)
    if rules.NORMAL_IMAGE.search(text) and not named(labels) - {"Support Devices"}:
        labels[NO_FINDING] = "positive"
    return tuple(_ordered(labels).items())


def _mentions(text: str) -> list[tuple[str, int, int]]:
    """(observation, start, end) in the order of the text."""
    found: list[tuple[str, int, int]] = []
    for name, pattern in rules.MENTIONS.items():
        elsewhere = rules.EXCLUDED.get(name)
        where = blank(elsewhere, text) if elsewhere else text
        found.extend((name, match.start(), match.end()) for match in pattern.finditer(where))
    return sorted(found, key=lambda mention: mention[1:])


def _disjoint(mentions: list[tuple[str, int, int]], text: str) -> set[tuple[str, int]]:
    """The mentions that stand on either side of a bare "or": one of the two is meant."""
    found = set()
    for (name, start, end), (other, other_start, _) in pairwise(mentions):
        if name != other and DISJUNCTION.fullmatch(text, end, other_start):
            found |= {(name, start), (other, other_start)}
    return found


def _predicates(name: str, text: str, cues: Cues) -> list[State]:
    """What the sentence says of one organ, a state a time that it is named."""
    states: list[State] = []
    for subject in rules.SUBJECTS[name].finditer(text):
        before = _COORDINATED.sub(" ", text[max(0, subject.start() - 80) : subject.start()])
        if rules.BEFORE_SUBJECT.search(before):
            states.append("negative")
            continue
        chain = rules.SUBJECT_CHAIN.match(text, subject.end())
        first = chain.end() if chain else subject.end()
        stop = rules.SUBJECT_END.search(text, first)
        last = min(stop.start() if stop else len(text), first + 90)
        found = [
            (match.start(), match.end(), state)
            for pattern, state in rules.PREDICATES[name]
            if (match := pattern.search(text, first, last))
        ]
        if found:
            start, end, state = min(found, key=lambda predicate: predicate[0])
            states.append(cues.state(start, end) if state == "positive" else state)
    return states


def _raise(labels: dict[str, State], name: str, state: State) -> None:
    if name not in labels or _RANK[state] > _RANK[labels[name]]:
        labels[name] = state


def _ordered(labels: dict[str, State]) -> dict[str, State]:
    return {name: labels[name] for name in OBSERVATIONS if name in labels}
