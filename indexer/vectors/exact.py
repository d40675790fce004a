"""Exact search: every vector is compared with the query, in one FAISS file.

    write_exact(path, ids, blocks)
    ExactVectors.open(path).search(query, k=5, exclude={7})

The file is an ``IndexIDMap2`` around an ``IndexFlatIP``: plain ``faiss.read_index`` opens it, and
finds case ids by inner product. It is mapped, so that opening it reads no vectors.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np

from db.errors import UserError
from indexer.vectors.faiss_files import (
    MAPPED_VECTORS,
    one_thread,
    read_faiss,
    selecting,
    write_faiss,
)
from indexer.vectors.row_vectors import RowVectors

_MORE = 16
"""Vectors beyond k that FAISS is asked for, to see whether the k-th is clear of the next ones."""

_LARGE_SHARE = 4

_ROUNDING = 2.0**-22
"""By how much two ways to add up an inner product of unit vectors may differ, per dimension."""

_SCORES_AT_ONCE = 16_000_000


def write_exact(path: Path, ids: np.ndarray, blocks: Iterable[np.ndarray]) -> None:
    """Write ``blocks`` of unit vectors, (rows, dim) float32, and their ids, (n,) int64 ascending.

    Raises OSError where the disk is full.
    """
    write_faiss(_index(ids, blocks), path)


class ExactVectors(RowVectors):
    """A `VectorStore` that compares a query with every vector."""

    def __init__(self, index: Any) -> None:
        """``index``: an ``IndexIDMap2`` around an ``IndexFlatIP``, ids ascending."""
        self._index = index  # owns the memory that the rows are a view of
        flat: Any = faiss.downcast_index(index.index)
        rows = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
        super().__init__(faiss.vector_to_array(index.id_map), rows.reshape(flat.ntotal, flat.d))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotFoundError for a missing file and UserError for one that is damaged."""
        index = read_faiss(path, MAPPED_VECTORS)
        try:
            store = cls(index)
        except (AttributeError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged: build the index again") from error
        if (np.diff(store.ids) <= 0).any():
            raise UserError(f"{path} is damaged: ids out of order; build the index again")
        return store

    @classmethod
    def of(cls, ids: np.ndarray, vectors: np.ndarray) -> Self:
        """In memory, of ids (n,), ascending, and unit vectors (n, dim)."""
        return cls(_index(ids, [vectors]))

    def search(
        self,
        query: np.ndarray,
        k: int,
        *,
        exclude: Collection[int] | np.ndarray = (),
        only: Collection[int] | np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `indexer.vectors.store.VectorStore`."""
        k = max(k, 1)
        excluded = self._rows(exclude)
        if only is not None:
            rows = np.setdiff1d(self._rows(only), excluded, assume_unique=True)
            return self._best(rows, self._cosines(rows, query).clip(-1, 1), k)
        rows = self._nearest(query, k, excluded)
        ids, scores = self._best(rows, self._cosines(rows, query), k)
        finite = np.isfinite(scores)
        return ids[finite], scores[finite]

    def _nearest(self, query: np.ndarray, k: int, excluded: np.ndarray) -> np.ndarray:
        """Rows, ascending, that are certain to hold the k best and all that equal the k-th.

        FAISS adds up a product in an order of its own, so that equal vectors are told apart and
        close ones change places; the caller scores the rows once more.
        """
        wanted = k + _MORE
        if _LARGE_SHARE * wanted > self.count:  # sorting out so many costs more than scoring all
            return np.setdiff1d(np.arange(self.count), excluded, assume_unique=True)
        parameters: Any = faiss.SearchParameters()
        kept = selecting(parameters, exclude=self._ids[excluded])
        one = np.ascontiguousarray(query[None], dtype=np.float32)
        with one_thread():
            scores, found = self._index.search(one, wanted, params=parameters)
            scores, found = scores[0][found[0] >= 0], found[0][found[0] >= 0]
            if len(scores) == wanted:
                least = scores[k - 1] - _ROUNDING * self.dim
                if scores[-1] >= least:  # more may be as near as the k-th
                    _, _, found = self._index.range_search(one, float(least), params=parameters)
        del kept
        return np.searchsorted(self._ids, np.sort(found))

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `indexer.vectors.store.VectorStore`."""
        k = min(k, self.count)
        ids = np.zeros((len(queries), k), np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        vectors = np.require(self._vectors, requirements="A")  # a mapped file may not be aligned
        block = max(1, _SCORES_AT_ONCE // self.count)
        for start in range(0, len(queries), block):
            similarity = queries[start : start + block].astype(np.float32) @ vectors.T
            rows = np.argpartition(similarity, -k, axis=1)[:, -k:]
            cosines = np.take_along_axis(similarity, rows, axis=1)
            order = np.argsort(-cosines, axis=1, kind="stable")
            ids[start : start + block] = self._ids[np.take_along_axis(rows, order, axis=1)]
            scores[start : start + block] = np.take_along_axis(cosines, order, axis=1)
        return ids, scores


def read_flat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ids, ascending, and vectors of an index of format 1: (n,) int64 and (n, dim) float32.

    Raises NotFoundError for a missing file and UserError for one that is damaged.
    """
    index = read_faiss(path)
    try:
        ids = faiss.vector_to_array(index.id_map)
        vectors = faiss.downcast_index(index.index).reconstruct_n(0, index.ntotal)
    except (AttributeError, RuntimeError) as error:
        raise UserError(f"{path} is damaged: build the index again") from error
    order = np.argsort(ids)
    return ids[order], vectors[order]


def _index(ids: np.ndarray, blocks: Iterable[np.ndarray]) -> Any:
    index: Any = None
    first = 0
    for block in blocks:
        if index is None:
            index = faiss.IndexIDMap2(faiss.IndexFlatIP(block.shape[1]))
        rows = np.ascontiguousarray(block, dtype=np.float32)
        index.add_with_ids(rows, np.ascontiguousarray(ids[first : first + len(rows)], np.int64))
        first += len(rows)
    return index
