"""Measure the recall of HNSW on a server, for searches without a filter and with ever finer ones.

spec = measure_recall(draft.vectors(), index, exact_rows=20_000)
spec.classes[0].recall, spec.classes[0].ef_search

HNSW walks a graph of all cases and drops those that a filter refuses, so the finer the filter, the
more it must visit. Each class of selectivity gets the least ``ef_search`` that reaches
`TARGET_RECALL`; classes that leave few cases are searched exactly, and so are those of up to
`MOST_EXACT` cases in which no ``ef_search`` reaches it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from db.index.selection import Selection, names_all, pack_states
from db.index.vector_rows import MOST_EF_SEARCH, VectorRows
from db.labels import FINDINGS
from indexer.index import Index
from indexer.vectors.options import SelectivityClass, ServerSpec
from indexer.vectors.published import search_rows

SHARES = (1.0, 0.5, 0.25, 0.1, 0.01, 0.001)
"""Of the cases that a filter leaves, one for each class; the first is without a filter."""
LEAST_SHARE = 0.1
"""Below it HNSW would visit most of the graph, and an exact search is faster."""
TARGET_RECALL = 0.985
"""A little above what is required: recall is a little lower for new queries."""
RECALL_AT = 10
MOST_EXACT = 300_000
"""Cases of a class, at most, that are searched exactly where HNSW finds too few of them; two
processors take .3 s for so many."""

_EF_SEARCH = (100, 200, 400, 800, MOST_EF_SEARCH)
_QUERIES, _QUERIES_OF_LABELS, _QUERIES_EXACT = 200, 50, 10


@dataclass(frozen=True, kw_only=True)
class _Filter:
    """One filter, and what an exact search with it finds."""

    selection: Selection
    among: np.ndarray
    """(cases,) bool: those it leaves."""
    queries: int
    nearest: tuple[np.ndarray, ...] = ()
    """For each query the ids of the nearest other cases."""


def measure_recall(rows: VectorRows, index: Index, *, exact_rows: int) -> ServerSpec:
    """Choose ``ef_search`` for each class; ``rows`` hold the vectors of ``index`` with HNSW."""
    ids, states = index.cases.state_table()
    packed = pack_states(states)
    queries = np.sort(np.random.default_rng(1).permutation(len(ids))[:_QUERIES])
    classes = []
    for place, share in enumerate(SHARES):
        by_hnsw = share >= LEAST_SHARE and share * len(ids) > exact_rows
        above = SHARES[place - 1] if place else np.inf
        filters = list(_filters(share, above, ids, packed, labels=by_hnsw and share < 1))
        if not by_hnsw:
            filters = [replace(one, queries=_QUERIES_EXACT) for one in filters]
        filters = _with_nearest(filters, index, queries)
        tuned = _tuned(rows, index, filters, queries, share, by_hnsw=by_hnsw)
        if tuned.recall < TARGET_RECALL and above * len(ids) <= MOST_EXACT:
            tuned = replace(tuned, ef_search=0, recall=1.0)
        classes.append(tuned)
    return ServerSpec(classes=tuple(classes), exact_rows=exact_rows)


def _filters(
    share: float, above: float, ids: np.ndarray, packed: np.ndarray, *, labels: bool
) -> Iterator[_Filter]:
    """Yield a random filter of this share, and those by one finding up to the next class."""
    drawn = Selection(share=share)
    yield _Filter(selection=drawn, among=drawn.drawn(ids), queries=_QUERIES)
    for name in FINDINGS if labels else ():
        rule = names_all([name])
        named = rule.holds(packed)
        if share <= named.mean() < above:
            yield _Filter(
                selection=Selection(labels=(rule,)), among=named, queries=_QUERIES_OF_LABELS
            )


def _tuned(
    rows: VectorRows,
    index: Index,
    filters: Sequence[_Filter],
    queries: np.ndarray,
    share: float,
    *,
    by_hnsw: bool,
) -> SelectivityClass:
    ids, recall = index.vectors.ids, 0.0
    for ef_search in _EF_SEARCH if by_hnsw else (0,):
        recall = 1.0
        for one in filters:
            recall = min(recall, _recall(rows, index, one, ids[queries], ef_search))
            if recall < TARGET_RECALL and ef_search < MOST_EF_SEARCH:
                break
        if recall >= TARGET_RECALL:
            break
    return SelectivityClass(
        share=share, ef_search=ef_search, recall=recall, queries=filters[0].queries
    )


def _recall(
    rows: VectorRows, index: Index, given: _Filter, queries: np.ndarray, ef_search: int
) -> float:
    """Search the nearest others of some cases, and return the share that is found."""
    whole = SelectivityClass(share=0.0, ef_search=ef_search, recall=0.0, queries=0)
    spec, shares = ServerSpec(classes=(whole,)), []
    for case_id, wanted in zip(queries.tolist(), given.nearest, strict=False):
        selection = replace(given.selection, without_cases=frozenset([case_id]))
        if len(wanted):
            query = index.vectors.vector(case_id)
            found, _ = search_rows(
                rows, query, len(wanted), selection, spec=spec, count=index.vectors.count
            )
            shares.append(np.isin(wanted, found).mean())
    return float(np.mean(shares)) if shares else 1.0


def _with_nearest(filters: Sequence[_Filter], index: Index, queries: np.ndarray) -> list[_Filter]:
    """Find the exact nearest other cases of the first queries of each filter, in one pass."""
    ids = index.vectors.ids
    wanted = np.stack([index.vectors.vector(int(ids[place])) for place in queries])
    best = [
        (np.zeros((one.queries, 0), np.float32), np.zeros((one.queries, 0), np.int64))
        for one in filters
    ]
    first = 0
    for _, block in index.vectors.blocks():
        places = np.arange(first, first + len(block))
        similarity = wanted @ block.T
        similarity[queries[:, None] == places[None]] = -np.inf
        for number, one in enumerate(filters):
            among = np.flatnonzero(one.among[places])
            best[number] = _merged(best[number], similarity[: one.queries, among], places[among])
        first += len(block)
    return [
        replace(
            one,
            nearest=tuple(ids[row[np.isfinite(score)]] for score, row in zip(*found, strict=True)),
        )
        for one, found in zip(filters, best, strict=True)
    ]


def _merged(
    best: tuple[np.ndarray, np.ndarray], scores: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best scores and places, at most `RECALL_AT` for each query."""
    count = len(scores)
    all_scores = np.concatenate([best[0][:count], scores], axis=1)
    rows = np.broadcast_to(places, scores.shape)
    all_places = np.concatenate([best[1][:count], rows], axis=1)
    if all_scores.shape[1] > RECALL_AT:
        kept = np.argpartition(-all_scores, RECALL_AT - 1, axis=1)[:, :RECALL_AT]
        all_scores = np.take_along_axis(all_scores, kept, axis=1)
        all_places = np.take_along_axis(all_places, kept, axis=1)
    return all_scores, all_places
