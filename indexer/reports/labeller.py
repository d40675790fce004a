"""Report text -> findings and the 14 CheXpert observations, by rules that can be read and checked.

    mentions("Small right effusion, no pneumothorax.")
    # Pleural Effusion positive, right, mild; Pneumothorax negative

A sentence is brought to one spelling (``labelling.text``), searched for the wording of the findings
of ``db.findings`` (``labelling.wording``, ``devices``, ``organs``), and each mention is positive
unless a cue within reach (``labelling.cues``, ``scope``) denies or doubts it. The observations roll
up from the findings. Conventions, those of the CheXpert labeler unless ``db.findings`` says so:

- A finding gets a label only where it is worded: consolidation does not imply lung opacity.
  "Lungs are clear" is a negative Lung Opacity and says nothing of the others.
- positive > uncertain > negative, within a sentence and over a report.
- A change is not a state: "no change in the effusion" is a positive effusion, "stable heart size"
  nothing. "Upper limits of normal" is normal; "borderline" is uncertain.
- "Likely", "may represent", "versus" and a bare "A or B" are uncertain; "consistent with" is
  positive; "no definite" is negative.
- History, other people, advice and conditions say nothing of this image.
- No Finding is positive or absent, never negative or uncertain. A sentence has it where it calls
  the whole image normal; a report has it where no finding that precludes it is positive or
  uncertain and it does say something: at least one negative finding or a normal image (the CheXpert
  labeler gives it to an empty report as well).
"""

from collections.abc import Iterable
from functools import lru_cache

from db.findings import FINDING
from db.labels import NO_FINDING, OBSERVATIONS, State
from indexer.reports.labelling.attributes import Windows, describe
from indexer.reports.labelling.masked import CONDITION, FOREIGN, MASKED
from indexer.reports.labelling.mention import Mention
from indexer.reports.labelling.normal import NORMAL_IMAGE
from indexer.reports.labelling.organs import read_organs
from indexer.reports.labelling.scope import Scope
from indexer.reports.labelling.spans import find_spans
from indexer.reports.labelling.text import blank, read_text

LABELLER_VERSION = "rules-2"
"""Changes whenever a label could: reference labels and index manifests name it."""

_RANK: dict[State, int] = {"negative": 0, "uncertain": 1, "positive": 2}
_UNROLLED = {"Vertebral Fracture": "deformity", "Lung Opacity": "density"}
"""What of a finding is none of the 14: a deformity that is not called a fracture, a density that is
not called increased. Both are on the CheXpert labeler's list for No Finding, and only there."""
_MAX_CHARS = 2_000
"""Of a sentence that is read; no radiologist writes a longer one."""


def mentions(sentence: str) -> tuple[Mention, ...]:
    """Every finding that a sentence words, with its state and attributes, in the text's order."""
    return _read(sentence[:_MAX_CHARS])[0]


def label_sentence(text: str) -> dict[str, State]:
    """What one sentence says of each observation; what it does not mention is absent."""
    found, is_normal = _read(text[:_MAX_CHARS])
    labels = _roll_up(found)
    if is_normal and not any(map(_precludes, found)):
        labels[NO_FINDING] = "positive"
    return _ordered(labels)


def label_report(sentences: Iterable[str]) -> dict[str, State]:
    """The sentences' labels merged, in the order of ``db.labels.OBSERVATIONS``."""
    merged: dict[str, State] = {}
    says_something = precluded = False
    for sentence in sentences:
        found, is_normal = _read(sentence[:_MAX_CHARS])
        for name, state in _roll_up(found).items():
            _raise(merged, name, state)
        precluded = precluded or any(map(_precludes, found))
        says_something = (
            says_something
            or is_normal
            or any(FINDING[mention.finding].region != "devices" for mention in found)
        )
    if says_something and not precluded:
        merged[NO_FINDING] = "positive"
    return _ordered(merged)


@lru_cache(maxsize=65_536)
def _read(sentence: str) -> tuple[tuple[Mention, ...], bool]:
    """The mentions of a sentence, and whether it calls the whole image normal."""
    text = read_text(sentence)
    if FOREIGN.search(text.plain):
        return (), False
    plain = blank(CONDITION, blank(MASKED, text.plain))
    organs = read_organs(plain)
    spans = find_spans(plain, [statement.span for statement in organs])
    scope = Scope(plain, spans)
    windows = Windows(text.plain, spans)
    told = {s.span: s.state for s in organs if s.state == "negative"}
    doubted = {s.span for s in organs if s.state == "uncertain"}
    found = []
    for span in spans:
        state = ("negative", "definite") if span in told else scope.state(span)
        if state == ("positive", "definite") and span in doubted:
            state = ("uncertain", "possible")
        if state is not None:
            found.append(describe(text, windows, span, *state))
    return tuple(found), NORMAL_IMAGE.search(plain) is not None


def _precludes(mention: Mention) -> bool:
    return mention.state != "negative" and FINDING[mention.finding].precludes_no_finding


def _roll_up(found: Iterable[Mention]) -> dict[str, State]:
    """The findings' states under their CheXpert observations.

    Vascular congestion is an uncertain Edema, unless edema is spoken of as well.
    """
    labels: dict[str, State] = {}
    congestion: list[State] = []
    for mention in found:
        parent = FINDING[mention.finding].parent
        if mention.finding == "Vascular Congestion":
            congestion.append(mention.state)
        elif parent is not None and _UNROLLED.get(mention.finding) not in mention.kind:
            _raise(labels, parent, mention.state)
    if "Edema" not in labels:
        for state in congestion:
            _raise(labels, "Edema", "uncertain" if state == "positive" else state)
    return labels


def _raise(labels: dict[str, State], name: str, state: State) -> None:
    if name not in labels or _RANK[state] > _RANK[labels[name]]:
        labels[name] = state


def _ordered(labels: dict[str, State]) -> dict[str, State]:
    return {name: labels[name] for name in OBSERVATIONS if name in labels}
