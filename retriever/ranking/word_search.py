"""The search for what a text asks for: cases that say it first, whatever their cosine.

candidates = WordSearch(vectors, cases).candidates(query, asks, options, selection)
"""

from collections.abc import Callable, Iterator, Sequence

from db.index.selection import Selection, has_state
from db.index.store import Case
from retriever.case_filter import Candidate
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.ranking.words import Ask, rate
from retriever.selected import SelectiveVectors

_RATED = 200
"""The least number of cases of each kind whose sentences are read: the nearest of all, and the
nearest whose labels say what is asked."""
_RATED_PER_HIT = 5


class WordSearch:
    """The search of one index."""

    def __init__(
        self, vectors: SelectiveVectors, cases: Callable[[Sequence[int]], Sequence[Case]]
    ) -> None:
        """``cases`` reads cases by id."""
        self._vectors = vectors
        self._cases = cases

    def candidates(
        self, query: Query, asks: Sequence[Ask], options: SearchOptions, selection: Selection
    ) -> list[Candidate]:
        """Rated cases, best first, without those that ``options`` finds too far away."""
        size = max(_RATED, _RATED_PER_HIT * options.k)
        cosines: dict[int, float] = {}
        for among in (selection, *_saying(asks, selection)):
            ids, scores = self._vectors.select(query.vector, size, among)
            cosines |= zip(ids.tolist(), scores.tolist(), strict=True)
        best = max(cosines.values(), default=-1.0)
        least = options.least_score(best if best > 0 else None)
        near = [case_id for case_id, score in cosines.items() if score >= least]
        found = []
        for case in self._cases(near):
            rating, score = rate(case, asks), cosines[case.case_id]
            found.append(
                Candidate(
                    case=case,
                    score=score,
                    value=2 * rating.points + score,  # cosines differ by less than 2
                    sentence=rating.sentence,
                )
            )
        return sorted(found, key=lambda one: -one.value)


def _saying(asks: Sequence[Ask], selection: Selection) -> Iterator[Selection]:
    """Yield the cases whose labels have each observation in the state that is asked for."""
    for ask in asks:
        if ask.observation is not None:
            state = has_state(ask.observation, "negative" if ask.denied else "positive")
            yield selection.narrowed(state)
