"""Rank cases by what a text query asks for: the finding, its sign and its side.

asks = read_asks("no left effusion")
rating = rate(case, asks)
rating.points, rating.sentence      # above 0 where the case says so, and where it says it

The embedding of "pneumothorax" is close to every sentence about a pneumothorax, and most of these
deny it. So the query is read by the labeller, as reports are: cases that say what it says come
first, then those that say it in part or of another side, then those that say nothing of it, and
last those that say the opposite. Within each of these the cosine decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from db.findings import FINDING
from db.index.store import Case, Sentence
from db.labels import NO_FINDING, State
from indexer.reports.labeller import label_sentence, mentions
from indexer.reports.labelling.mention import Degree, Mention, Side
from indexer.reports.sentences import split_sentences

SAYS, DOUBTS, NO_SIDE, OTHER_SIDE, SILENT, OPPOSITE = 6.0, 4.0, 2.0, 1.0, 0.0, -1.0
"""Points of a case: it says what is asked; with doubt; without the side; of the other side; says
nothing of it; says the opposite."""
_EXACT = 1.0
"""Points more where the degree is as asked, and where a denial names the side that is asked."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One finding that a query asks for."""

    finding: str
    """A name of ``db.findings.FINDING``, or No Finding."""
    denied: bool = False
    sides: frozenset[Side] = frozenset()
    degree: frozenset[Degree] = frozenset()

    @property
    def observation(self) -> str | None:
        """The CheXpert observation that the finding rolls up to, if any."""
        return NO_FINDING if self.finding == NO_FINDING else FINDING[self.finding].parent

    def matches(self, finding: str) -> bool:
        """Whether a mention of ``finding`` is one of the finding asked for, or of a kind of it."""
        return self.finding in (finding, FINDING[finding].parent)


@dataclass(frozen=True, kw_only=True)
class Rating:
    """How well a case says what is asked."""

    points: float
    sentence: str | None = None
    """The sentence that says it best, as the report has it; None where none does."""


def read_asks(text: str) -> tuple[Ask, ...]:
    """Read the findings that a text names; none where it names no finding."""
    asks: list[Ask] = []
    for sentence in split_sentences(text):
        found = [
            Ask(
                finding=mention.finding,
                denied=mention.state == "negative",
                sides=mention.sides,
                degree=mention.degree,
            )
            for mention in mentions(sentence)
        ]
        if not found and label_sentence(sentence).get(NO_FINDING) == "positive":
            found = [Ask(finding=NO_FINDING)]
        asks += found
    return tuple(dict.fromkeys(asks))


def rate(case: Case, asks: Sequence[Ask]) -> Rating:
    """Add the points of a case for all that is asked; each ask is rated by its best sentence."""
    total = 0.0
    best: tuple[float, str] | None = None
    by_sentence: dict[str, float] = {}
    for ask in asks:
        said = list(_said(case, ask))
        opposite = any(points == OPPOSITE for points, _ in said)
        points = max((points for points, _ in said), default=SILENT)
        if ask.denied and opposite:  # a finding that is there is not absent as well
            points = OPPOSITE
        total += points
        for one, sentence in said:
            by_sentence[sentence] = max(by_sentence.get(sentence, 0.0), one)
    for sentence, points in by_sentence.items():
        if points > 0 and (best is None or points > best[0]):
            best = points, sentence
    return Rating(points=total, sentence=None if best is None else best[1])


def _said(case: Case, ask: Ask) -> Iterator[tuple[float, str]]:
    """Yield the points and text of each sentence that speaks of what is asked."""
    for sentence in case.sentences:
        if ask.finding == NO_FINDING:
            if sentence.labels.get(NO_FINDING) == "positive":
                yield SAYS, sentence.text
        elif ask.observation is None or ask.observation in sentence.labels:
            for mention in _mentions(sentence, ask):
                yield _points(mention, ask), sentence.text


def _mentions(sentence: Sentence, ask: Ask) -> Iterator[Mention]:
    return (one for one in mentions(sentence.text) if ask.matches(one.finding))


def _points(mention: Mention, ask: Ask) -> float:
    denied = mention.state == "negative"
    elsewhere = bool(ask.sides and mention.sides and not ask.sides & mention.sides)
    if denied != ask.denied:
        return SILENT if elsewhere else OPPOSITE
    if elsewhere:
        return OTHER_SIDE
    state: State = mention.state
    points = DOUBTS if state == "uncertain" else SAYS
    if ask.sides and not mention.sides and not ask.denied:
        points = min(points, NO_SIDE)
    exact = ask.degree & mention.degree or (ask.denied and ask.sides & mention.sides)
    return points + (_EXACT if exact else 0)
