"""Build a vector store from ids and vectors on disk, and measure its recall.

spec = build_vectors(directory, VectorOptions())    # reads case_ids.npy and case_vectors.npy
open_vectors(directory, spec)
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from db.errors import UserError
from db.memory import free_memory
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
"""Searches are made to read and rank more until they reach this recall. It is a little above the
required one, because recall is a little lower for new queries than for indexed cases."""

_RECALL_AT = 10
_QUERIES = 400
_LEAST_PROBES = 8
_LEAST_CANDIDATES = 10
_MOST_CANDIDATES = 80
_WORTH_IT = 0.002  # gain in recall that justifies twice the candidates


def build_vectors(directory: Path, options: VectorOptions) -> VectorSpec:
    """Make a vector store of the ids and float32 vectors in ``directory``.

    An exact store is built in memory; an IVF store needs memory for its codes alone. Raises
    UserError if the memory or the measured recall is too low; then the input stays as it is.
    """
    count, dim = map_rows(directory / VECTORS).shape
    if options.choose(count, dim, free_bytes=free_memory()) == "exact":
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
    half = directory / f"half-{VECTORS}"
    _write_float16(directory / VECTORS, half)
    spec = _tune(directory, half)
    if spec.recall < options.min_recall:
        raise UserError(
            f"the fast index finds {spec.recall:.3f} of the {_RECALL_AT} nearest cases, less than "
            f"{options.min_recall}: build with --index-type exact, or lower --min-recall"
        )
    half.replace(directory / VECTORS)
    return spec


def _tune(directory: Path, half: Path) -> VectorSpec:
    """Tune the search: rank more candidates while that helps, else read more lists."""
    lists, vectors = InvertedLists.open(directory / LISTS), map_rows(half)
    rows = np.arange(len(vectors))
    queries = np.sort(np.random.default_rng(1).permutation(rows)[:_QUERIES])
    truth = _nearest_others(directory / VECTORS, queries)

    def measure(probes: int, candidates: int) -> VectorSpec:
        spec = VectorSpec(
            type="ivf",
            lists=lists.lists,
            probes=min(probes, lists.lists),
            candidates=candidates,
            queries=len(queries),
        )
        store = IvfVectors(rows, vectors, lists, spec)
        return replace(spec, recall=_recall(store, queries, truth))

    spec = measure(_LEAST_PROBES, _LEAST_CANDIDATES)
    while spec.recall < TARGET_RECALL:
        deeper = spec.candidates < _MOST_CANDIDATES
        wider = spec.probes < lists.lists
        more = measure(spec.probes, 2 * spec.candidates) if deeper else None
        if more is None or (wider and more.recall < spec.recall + _WORTH_IT):
            more = measure(2 * spec.probes, spec.candidates) if wider else None
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
    """Draw some rows at random. Reads in blocks, because mapping would load the whole file."""
    count = len(map_rows(path))
    drawn = np.zeros(count, bool)
    drawn[np.random.default_rng(0).permutation(count)[:rows]] = True
    first, parts = 0, []
    for block in read_blocks(path):
        parts.append(block[drawn[first : first + len(block)]])
        first += len(block)
    return np.concatenate(parts)


def _write_float16(wide: Path, half: Path) -> None:
    with RowFile(half, *map_rows(wide).shape, dtype=np.float16) as rows:
        for block in read_blocks(wide):
            rows.append(block)


def _nearest_others(path: Path, queries: np.ndarray) -> np.ndarray:
    """Find the exact nearest other rows of each row in ``queries``: (m, 10 or fewer)."""
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
