"""What state the cues of a sentence leave its mentions in."""

import re
from itertools import pairwise

from db.findings import FINDING
from db.labels import State
from indexer.reports.labelling.cues import STATE_OF_CERTAINTY, Effect, find_cues
from indexer.reports.labelling.mention import Certainty
from indexer.reports.labelling.reach import BOUNDARY, reaches_back, reaches_on
from indexer.reports.labelling.wording import Span

_DENIED_INSIDE = re.compile(r" (?:not|no longer) ")
_VERSUS = re.compile(r"\b(?:versus|vs)\b")
_DISJUNCTION = re.compile(r",? (?:and/)?or (?:\w+ ){0,3}|(?: and|, )?/ ?")


def _is_lung(span: Span) -> bool:
    """Whether a stroke may stand between this and another reading of one appearance."""
    return FINDING[span.finding].region in ("lungs", "pleura")


class Scope:
    """The cues of one sentence and how far they reach."""

    def __init__(self, plain: str, spans: list[Span]) -> None:
        self._plain = plain
        self._spans = spans
        cues = find_cues(plain)
        self._before = sorted((c for c in cues if not c.backward), key=lambda c: -c.start)
        self._after = sorted((c for c in cues if c.backward), key=lambda c: c.start)
        self._versus = [match.start() for match in _VERSUS.finditer(plain)]
        self._either: set[Span] = set()
        self._one_parent: set[Span] = set()
        self._find_alternatives()

    def state(self, span: Span, *, as_parent: bool = False) -> tuple[State, Certainty] | None:
        """State and certainty of a mention; None where it is not about this image.

        A finding that is said not to be there stays negative whatever is said of it besides.
        ``as_parent``: of the observation it rolls up to; a "nodule or mass" is a lung lesion.
        """
        effects = [self._nearest_before(span), self._nearest_after(span)]
        if _DENIED_INSIDE.search(self._plain, span.start, span.end):
            effects.append("negative")
        if "unmentioned" in effects:
            return None
        if "negative" in effects:
            return "negative", "definite"
        doubts: list[Effect] = ["unlikely", "possible", "probable"]
        for doubt in doubts:
            if doubt in effects:
                return "uncertain", STATE_OF_CERTAINTY[doubt]
        either = self._either - self._one_parent if as_parent else self._either
        if any(self._beside(span.end, at) for at in self._versus) or span in either:
            return "uncertain", "possible"
        return "positive", "definite"

    def _nearest_before(self, span: Span) -> Effect | None:
        for cue in self._before:
            if span.start < cue.start and cue.end <= span.end:
                return cue.effect
            if cue.adjacent and cue.end != span.start:
                continue
            if cue.end <= span.start and reaches_on(self._plain, self._spans, cue, span):
                return cue.effect
        return None

    def _nearest_after(self, span: Span) -> Effect | None:
        for cue in self._after:
            if cue.start >= span.end and reaches_back(self._plain, span, cue):
                return cue.effect
        return None

    def _beside(self, end: int, at: int) -> bool:
        """Whether nothing else is mentioned between ``end`` and a "versus" at ``at``."""
        return (
            at >= end
            and "," not in self._plain[end:at]
            and not BOUNDARY.search(self._plain, end, at)
            and not any(end <= other.start < at for other in self._spans)
        )

    def _find_alternatives(self) -> None:
        """Note the mentions that stand on either side of a bare "or": one of the two is meant."""
        ordered = sorted(self._spans, key=lambda span: span.start)
        for one, other in pairwise(ordered):
            join = _DISJUNCTION.fullmatch(self._plain, one.end, other.start)
            if join is None or one.finding == other.finding:
                continue
            if "/" in join[0] and not (_is_lung(one) and _is_lung(other)):
                continue
            self._either |= {one, other}
            if FINDING[one.finding].parent == FINDING[other.finding].parent is not None:
                self._one_parent |= {one, other}
