"""The nearest cases, and the most diverse of these.

nearest = NearestSearch(vectors, cases)
nearest.admitted(nearest.candidates(query, options, selection), options, case_filter)
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from db.index.selection import Selection
from db.index.store import Case
from retriever.case_filter import Candidate, CaseFilter
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.selected import SelectiveVectors

_CANDIDATES_PER_HIT = 5
"""With diversity, k hits are chosen from this many times k candidates."""


class NearestSearch:
    """The search of one index."""

    def __init__(
        self, vectors: SelectiveVectors, cases: Callable[[Sequence[int]], Sequence[Case]]
    ) -> None:
        """``cases`` reads cases by id."""
        self._vectors = vectors
        self._cases = cases

    def candidates(
        self, query: Query, options: SearchOptions, selection: Selection
    ) -> Iterator[Candidate]:
        """Yield candidates, best first, reading more of them from the index as needed."""
        size, given = _wanted(options) + 8, 0
        while True:
            ids, scores = self._vectors.select(query.vector, size, selection)
            cases = self._cases([int(i) for i in ids[given:]])
            for case, score in zip(cases, scores[given:], strict=True):
                yield Candidate(case=case, score=float(score), value=float(score))
            if len(ids) < size:
                return
            given, size = len(ids), 4 * size

    def admitted(
        self, candidates: Iterable[Candidate], options: SearchOptions, case_filter: CaseFilter
    ) -> list[Candidate]:
        """The first candidates that may be hits, or the most diverse among the first."""
        kept: list[Candidate] = []
        wanted = _wanted(options)
        for candidate in candidates:
            best = kept[0].score if kept else None
            if len(kept) == wanted or candidate.score < options.least_score(best):
                break
            if case_filter.admits(candidate):
                kept.append(candidate)
        return kept if options.diversity == 0 else self._diverse(kept, options)

    def _diverse(self, candidates: list[Candidate], options: SearchOptions) -> list[Candidate]:
        """Choose ``k`` candidates by maximal marginal relevance, in the order of their values."""
        if not candidates:
            return candidates
        vectors = np.stack([self._vectors.vector(one.case.case_id) for one in candidates])
        values = np.array([one.value for one in candidates])
        similarity = vectors @ vectors.T
        chosen = [0]
        while len(chosen) < min(options.k, len(candidates)):
            gain = (1 - options.diversity) * values
            gain -= options.diversity * similarity[:, chosen].max(axis=1)
            gain[chosen] = -np.inf
            chosen.append(int(gain.argmax()))
        return [candidates[place] for place in sorted(chosen)]


def _wanted(options: SearchOptions) -> int:
    """How many candidates to keep; diversity chooses among more than ``k``."""
    return options.k if options.diversity == 0 else _CANDIDATES_PER_HIT * options.k
