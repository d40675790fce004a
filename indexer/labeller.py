"""Report text -> the 14 CheXpert observations, by rules that can be read and checked.

Each mention of an observation in a sentence is positive unless a cue within reach makes it
negative or uncertain; organs (heart, mediastinum, lungs) are read through their predicate. The
wording is in ``indexer.label_rules``. Conventions, as in the CheXpert labeler unless noted:

- An observation gets a label only where it is worded: consolidation does not imply lung opacity.
  "Lungs are clear" is a negative Lung Opacity and says nothing of the others.
- positive > uncertain > negative, within a sentence and over a report.
- A change is not a state: "no change in the effusion" is a positive effusion, "stable heart size"
  nothing. "Upper limits of normal" is normal; "borderline" is uncertain.
- "Likely", "may represent", "versus" and a bare "A or B" are uncertain; "consistent with" is
  positive; "no definite" is negative.
- A healed fracture is a fracture; a calcified granuloma is no lung lesion; degenerative change has
  no label.
- No Finding is positive or absent, never negative or uncertain. A sentence has it where it calls
  the whole film normal; a report has it where it names nothing positive or uncertain but Support
  Devices and does say something: at least one negative finding or a normal film (the CheXpert
  labeler gives it to an empty report as well).
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from db.labels import NO_FINDING, OBSERVATIONS, State, named
from indexer import label_rules as rules

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
    text = _blank(rules.MASKED, text)
    labels: dict[str, State] = {}
    mentions = _mentions(text)
    cues = _Cues(text, mentions)
    disjoint = _disjoint(mentions, text)
    for name, start, end in mentions:
        state = cues.state(start, end)
        if state == "positive" and (name, start) in disjoint:
            state = "uncertain"
        _raise(labels, name, state)
    if "Edema" not in labels:
        for match in rules.CONGESTION.finditer(text):
            _raise(labels, "Edema", cues.state(match.start(), match.end()))
    for name in rules.SUBJECTS:
        for state in _predicates(name, text, cues):
            _raise(labels, name, state)
    if rules.NORMAL_FILM.search(text) and not named(labels) - {"Support Devices"}:
        labels[NO_FINDING] = "positive"
    return tuple(_ordered(labels).items())


class _Cues:
    """The cues of one sentence and how far they reach."""

    def __init__(self, text: str, mentions: list[tuple[str, int, int]]) -> None:
        plain = _blank(rules.PSEUDO, text)
        self._text = text
        self._mentions = mentions
        cues = [
            (match.start(), match.end(), backward, state)
            for pattern, backward, state in (
                (rules.PRE_NEGATIVE, False, "negative"),
                (rules.PRE_UNCERTAIN, False, "uncertain"),
                (rules.POST_NEGATIVE, True, "negative"),
                (rules.POST_UNCERTAIN, True, "uncertain"),
            )
            for match in pattern.finditer(plain)
        ]
        spans = {(start, end) for start, end, *_ in cues}
        whole = [cue for cue in cues if not _inside_longer(cue[0], cue[1], spans)]
        self._before = sorted((cue for cue in whole if not cue[2]), reverse=True)
        self._after = sorted(cue for cue in whole if cue[2])
        self._versus = [match.start() for match in rules.VERSUS.finditer(plain)]

    def state(self, start: int, end: int) -> State:
        """The state of what is mentioned between these two positions.

        A finding that is said not to be there stays negative whatever is said of it besides.
        """
        before = next(
            (state for at, stop, _, state in self._before if stop <= start and self._on(stop, start)),
            None,
        )
        after = next(
            (state for at, _, _, state in self._after if at >= end and self._back(end, at)), None
        )
        if "negative" in (before, after):
            return "negative"
        if "uncertain" in (before, after) or any(self._beside(end, at) for at in self._versus):
            return "uncertain"
        return "positive"

    def _on(self, stop: int, start: int) -> bool:
        """Whether a cue that ends at ``stop`` reaches forward to ``start``."""
        if rules.BOUNDARY.search(self._text, stop, start):
            return False
        with_ = self._text.rfind(" with ", stop, start)
        return with_ < 0 or not any(stop <= at and last <= with_ for _, at, last in self._mentions)

    def _back(self, end: int, at: int) -> bool:
        """Whether a cue that starts at ``at`` reaches back to ``end``."""
        if at < end or rules.BOUNDARY.search(self._text, end, at):
            return False
        is_list = rules.LIST_VERB.search(self._text, end, min(len(self._text), at + 5))
        return is_list is not None or "," not in self._text[end:at]

    def _beside(self, end: int, at: int) -> bool:
        """Whether nothing else is mentioned between ``end`` and a "versus" at ``at``."""
        return (
            at >= end
            and "," not in self._text[end:at]
            and not any(end <= start < at for _, start, _ in self._mentions)
        )


def _inside_longer(start: int, end: int, spans: set[tuple[int, int]]) -> bool:
    return any(
        first <= start and end <= last and last - first > end - start for first, last in spans
    )


def _mentions(text: str) -> list[tuple[str, int, int]]:
    """(observation, start, end) in the order of the text."""
    found = []
    for name, pattern in rules.MENTIONS.items():
        elsewhere = rules.EXCLUDED.get(name)
        where = _blank(elsewhere, text) if elsewhere else text
        found.extend((name, match.start(), match.end()) for match in pattern.finditer(where))
    return sorted(found, key=lambda mention: mention[1:])


def _disjoint(mentions: list[tuple[str, int, int]], text: str) -> set[tuple[str, int]]:
    """The mentions that stand on either side of a bare "or": one of the two is meant."""
    found = set()
    for (name, start, end), (other, other_start, _) in zip(mentions, mentions[1:], strict=False):
        if name != other and rules.DISJUNCTION.fullmatch(text, end, other_start):
            found |= {(name, start), (other, other_start)}
    return found


def _predicates(name: str, text: str, cues: _Cues) -> list[State]:
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


def _blank(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: " " * len(match[0]), text)


def _raise(labels: dict[str, State], name: str, state: State) -> None:
    if name not in labels or _RANK[state] > _RANK[labels[name]]:
        labels[name] = state


def _ordered(labels: dict[str, State]) -> dict[str, State]:
    return {name: labels[name] for name in OBSERVATIONS if name in labels}
