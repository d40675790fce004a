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
from dataclasses import dataclass, field
from functools import lru_cache

from db.findings import FINDING
from db.labels import NO_FINDING, OBSERVATIONS, Labels, State
from indexer.reports.labelling.attributes import describe
from indexer.reports.labelling.masked import CONDITION, FOREIGN, MASKED
from indexer.reports.labelling.mention import Mention
from indexer.reports.labelling.organs import NORMAL_IMAGE, read_organs
from indexer.reports.labelling.scope import Scope
from indexer.reports.labelling.spans import Windows, find_spans
from indexer.reports.labelling.text import blank, read_text

LABELLER_VERSION = "rules-3"
"""Changes whenever a label could: reference labels and index manifests name it."""

_RANK: dict[State, int] = {"negative": 0, "uncertain": 1, "positive": 2}
_UNROLLED = {"Vertebral Fracture": "deformity", "Lung Opacity": "density"}
"""What of a finding is none of the 14: a deformity that is not called a fracture, a density that is
not called increased. Both are on the CheXpert labeler's list for No Finding, and only there."""
_MAX_CHARS = 2_000
"""Of a sentence that is read; no radiologist writes a longer one."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is kept of a sentence."""

    mentions: tuple[Mention, ...] = ()
    labels: Labels = field(default_factory=dict)
    is_normal: bool = False
    """Whether it calls the whole image normal."""

    @property
    def is_precluding(self) -> bool:
        """Whether it names what no report with No Finding has."""
        return any(
            mention.state != "negative" and FINDING[mention.finding].precludes_no_finding
            for mention in self.mentions
        )

    @property
    def says_something(self) -> bool:
        """Whether it speaks of more than devices."""
        return self.is_normal or any(
            FINDING[mention.finding].region != "devices" for mention in self.mentions
        )


def mentions(sentence: str) -> tuple[Mention, ...]:
    """Every finding that a sentence words, with its state and attributes, in the text's order."""
    return _read(sentence[:_MAX_CHARS]).mentions


def label_sentence(text: str) -> dict[str, State]:
    """What one sentence says of each observation; what it does not mention is absent."""
    reading = _read(text[:_MAX_CHARS])
    labels = dict(reading.labels)
    if reading.is_normal and not reading.is_precluding:
        labels[NO_FINDING] = "positive"
    return _ordered(labels)


def label_report(sentences: Iterable[str]) -> dict[str, State]:
    """The sentences' labels merged, in the order of ``db.labels.OBSERVATIONS``."""
    merged: dict[str, State] = {}
    says_something = is_precluded = False
    for sentence in sentences:
        reading = _read(sentence[:_MAX_CHARS])
        for name, state in reading.labels.items():
            _raise(merged, name, state)
        is_precluded = is_precluded or reading.is_precluding
        says_something = says_something or reading.says_something
    if says_something and not is_precluded:
        merged[NO_FINDING] = "positive"
    return _ordered(merged)


@lru_cache(maxsize=65_536)
def _read(sentence: str) -> _Reading:
    text = read_text(sentence)
    if FOREIGN.search(text.plain):
        return _Reading()
    plain = blank(CONDITION, blank(MASKED, text.plain))
    organs = {told.span: told.state for told in read_organs(plain)}
    spans = find_spans(plain, organs)
    scope = Scope(plain, spans)
    windows = Windows(text.plain, spans)
    found: list[Mention] = []
    rolled: list[tuple[Mention, State]] = []
    for span in spans:
        state = scope.state(span)
        parent = scope.state(span, as_parent=True)
        if organs.get(span) == "negative":
            state = parent = ("negative", "definite")
        elif organs.get(span) == "uncertain" and state == ("positive", "definite"):
            state = parent = ("uncertain", "possible")
        if state is not None and parent is not None:
            found.extend(describe(text, windows, span, *state))
            rolled.append((found[-1], parent[0]))
    return _Reading(tuple(found), _roll_up(rolled), NORMAL_IMAGE.search(plain) is not None)


def _roll_up(found: Iterable[tuple[Mention, State]]) -> dict[str, State]:
    """The findings' states under their CheXpert observations.

    Vascular congestion is an uncertain Edema, and uncertain is over negative, as in the CheXpert
    labeler: "vascular congestion without edema" is uncertain too.
    """
    labels: dict[str, State] = {}
    for mention, state in found:
        parent = FINDING[mention.finding].parent
        if parent is None or _UNROLLED.get(mention.finding) in mention.kind:
            continue
        is_congestion = mention.finding == "Vascular Congestion" and state == "positive"
        _raise(labels, parent, "uncertain" if is_congestion else state)
    return labels


def _raise(labels: dict[str, State], name: str, state: State) -> None:
    if name not in labels or _RANK[state] > _RANK[labels[name]]:
        labels[name] = state


def _ordered(labels: Labels) -> dict[str, State]:
    return {name: labels[name] for name in OBSERVATIONS if name in labels}
