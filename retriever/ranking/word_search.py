"""The search for what a text asks for: cases that say it first, whatever their cosine.

candidates = WordSearch(vectors, case_ids, states, cases).candidates(query, asks, options, ...)
"""

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from db.index.store import STATE_CODES, Case
from db.labels import OBSERVATIONS
from indexer.vectors.store import VectorStore
from retriever.case_filter import Candidate
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.ranking.words import Ask, rate

_RATED = 200
"""The least number of cases of each kind whose sentences are read: the nearest of all, and the
nearest whose labels say what is asked."""
_RATED_PER_HIT = 5


class WordSearch:
    """The search of one index."""

    def __init__(
        self,
        vectors: VectorStore,
        case_ids: npt.NDArray[np.intp],
        states: npt.NDArray[np.int8],
        cases: Callable[[Sequence[int]], Sequence[Case]],
    ) -> None:
        """``case_ids`` (cases,) ascend; ``states`` (cases, 14) are codes; ``cases`` reads cases."""
        self._vectors = vectors
        self._case_ids = case_ids
        self._states = states
        self._cases = cases

    def candidates(
        self,
        query: Query,
        asks: Sequence[Ask],
        options: SearchOptions,
        excluded: Collection[int],
        allowed: npt.NDArray[np.intp] | None,
    ) -> list[Candidate]:
        """Rated cases, best first, without those that ``options`` finds too far away."""
        size = max(_RATED, _RATED_PER_HIT * options.k)
        cosines: dict[int, float] = {}
        for only in (allowed, *self._saying(asks, allowed)):
            ids, scores = self._vectors.search(query.vector, size, exclude=excluded, only=only)
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

    def _saying(
        self, asks: Sequence[Ask], allowed: npt.NDArray[np.intp] | None
    ) -> Iterator[npt.NDArray[np.intp]]:
        """Ids of the cases whose labels have each observation in the state that is asked for."""
        for ask in asks:
            if ask.observation is None:
                continue
            states = self._states[:, OBSERVATIONS.index(ask.observation)]
            wanted = states == STATE_CODES["negative" if ask.denied else "positive"]
            saying = self._case_ids[wanted]
            yield saying if allowed is None else np.intersect1d(saying, allowed)
