"""From ids and vectors on disk to a store that searches them, its recall measured.

spec = build_vectors(directory, VectorOptions())    # case_ids.npy, case_vectors.npy are there
open_vectors(directory, spec)
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from db.errors import UserError
from indexer.vectors.exact import write_exact
from indexer.vectors.ivf import (
    IDS,
    LISTS,
    TRAINING_ROWS,
    VECTORS,
    InvertedLists,
    IvfVectors,
    list_count,
)
from indexer.vectors.options import VectorOptions, VectorSpec
from indexer.vectors.row_files import RowFile, map_rows, read_blocks

TARGET_RECALL = 0.995
"""A search is given more to read and rank until this is reached. A little above what is asked of
an index: queries from elsewhere find a little less than indexed cases do."""

_RECALL_AT = 10
_QUERIES = 400
_LEAST_PROBES = 8
_LEAST_CANDIDATES = 10
_MOST_CANDIDATES = 80
_WORTH_IT = 0.002  # of recall, for twice the candidates


def build_vectors(directory: Path, options: VectorOptions) -> VectorSpec:
    """Make a store of the ids and float32 vectors that lie in ``directory``.

    Memory is needed for the vectors where they are searched exactly, else for their codes alone.
    Raises UserError where the memory given or the recall measured is too low.
    """
    count, dim = map_rows(directory / VECTORS).shape
    if options.choose(count, dim) == "exact":
        ids = np.array(map_rows(directory / IDS))
        write_exact(directory / LISTS, ids, read_blocks(directory / VECTORS))
        (directory / IDS).unlink()
        (directory / VECTORS).unlink()
        return VectorSpec(type="exact")
    lists = list_count(count)
    InvertedLists.build(
        directory / LISTS,
        read_blocks(directory / VECTORS),
        _sample(directory / VECTORS, TRAINING_ROWS * lists),
        lists,
    )
    narrow = directory / f"narrow-{VECTORS}"
    _narrow(directory / VECTORS, narrow)
    spec = _measured(directory, narrow)
    if spec.recall < options.min_recall:
        raise UserError(
            f"the fast index finds {spec.recall:.3f} of the {_RECALL_AT} nearest cases, less than "
            f"{options.min_recall}: build with --index-type exact, or allow less with "
            "--min-recall"
        )
    narrow.replace(directory / VECTORS)
    return spec


def _measured(directory: Path, narrow: Path) -> VectorSpec:
    """Ranks more candidates where that helps, else reads more lists, until enough is found."""
    lists, vectors = InvertedLists.open(directory / LISTS), map_rows(narrow)
    rows = np.arange(len(vectors))
    queries = np.sort(np.random.default_rng(1).permutation(rows)[:_QUERIES])
    truth = _nearest_others(directory / VECTORS, queries)

    def tried(probes: int, candidates: int) -> VectorSpec:
        spec = VectorSpec(
            type="ivf",
            lists=lists.lists,
            probes=min(probes, lists.lists),
            candidates=candidates,
            queries=len(queries),
        )
        store = IvfVectors(rows, vectors, lists, spec)
        return replace(spec, recall=_recall(store, queries, truth))

    spec = tried(_LEAST_PROBES, _LEAST_CANDIDATES)
    while spec.recall < TARGET_RECALL:
        deeper = spec.candidates < _MOST_CANDIDATES
        wider = spec.probes < lists.lists
        more = tried(spec.probes, 2 * spec.candidates) if deeper else None
        if more is None or (wider and more.recall < spec.recall + _WORTH_IT):
            more = tried(2 * spec.probes, spec.candidates) if wider else None
        if more is None:
            break
        spec = more
    return spec


def _recall(store: IvfVectors, queries: np.ndarray, truth: np.ndarray) -> float:
    if truth.shape[1] == 0:
        return 1.0
    shares = []
    for row, wanted in zip(queries, truth, strict=True):
        ids, _ = store.search(store.vector(int(row)), len(wanted), exclude=[int(row)])
        shares.append(np.isin(wanted, ids).mean())
    return float(np.mean(shares))


def _sample(path: Path, rows: int) -> np.ndarray:
    """Some rows, drawn at random. Read in blocks: mapped, they would draw in the whole file."""
    count = len(map_rows(path))
    drawn = np.zeros(count, bool)
    drawn[np.random.default_rng(0).permutation(count)[:rows]] = True
    first, parts = 0, []
    for block in read_blocks(path):
        parts.append(block[drawn[first : first + len(block)]])
        first += len(block)
    return np.concatenate(parts)


def _narrow(wide: Path, narrow: Path) -> None:
    with RowFile(narrow, *map_rows(wide).shape, dtype=np.float16) as rows:
        for block in read_blocks(wide):
            rows.append(block)


def _nearest_others(path: Path, queries: np.ndarray) -> np.ndarray:
    """The rows nearest to each of the rows ``queries`` but itself, exactly: (m, 10 or fewer)."""
    vectors = map_rows(path)
    wanted = np.array(vectors[queries])
    k = min(_RECALL_AT, len(vectors) - 1)
    scores, rows = np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
    first = 0
    for block in read_blocks(path):
        numbers = np.arange(first, first + len(block))
        similarity = wanted @ block.T
        similarity[queries[:, None] == numbers[None]] = -np.inf
        scores = np.concatenate([scores, similarity], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(numbers, similarity.shape)], axis=1)
        best = np.argpartition(-scores, min(k, scores.shape[1] - 1), axis=1)[:, :k]
        scores = np.take_along_axis(scores, best, axis=1)
        rows = np.take_along_axis(rows, best, axis=1)
        first += len(block)
    return rows
