"""Search exactly: compare the query with every vector, kept in one FAISS file.

    write_exact(path, ids, blocks)
    ExactVectors.open(path).search(query, k=5, exclude={7})

The file is an ``IndexIDMap2`` around an ``IndexFlatIP``, which plain ``faiss.read_index`` opens to
find case ids by inner product. It is mapped, so opening it reads no vectors; writing it takes
memory for all of them.
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
    set_selector,
    write_faiss,
)
from indexer.vectors.mapped_files import MappedFiles
from indexer.vectors.row_vectors import RowVectors

_MORE = 16
"""How many more than k hits FAISS returns, to tell whether any come close to the k-th."""

_LARGE_SHARE = 4

ROUNDING = 2.0**-22
"""The rounding error of an inner product of unit vectors, per dimension."""

_SCORES_AT_ONCE = 16_000_000


def write_exact(path: Path, ids: np.ndarray, blocks: Iterable[np.ndarray]) -> None:
    """Write ``blocks`` of unit vectors, (rows, dim) float32, and their ids, (n,) int64 ascending.

    Raises OSError if the disk is full.
    """
    write_faiss(_index(ids, blocks), path)


class ExactVectors(RowVectors):
    """A `VectorStore` that compares a query with every vector."""

    def __init__(self, index: Any, files: MappedFiles | None = None) -> None:
        """``index``: an ``IndexIDMap2`` around an ``IndexFlatIP``, ids ascending; ``files``: those
        that it is mapped from."""
        self._index = index  # owns the memory that the rows are a view of
        flat: Any = faiss.downcast_index(index.index)
        rows = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
        super().__init__(
            faiss.vector_to_array(index.id_map), rows.reshape(flat.ntotal, flat.d), files
        )

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotFoundError if a file is missing and UserError if one is damaged."""
        index = read_faiss(path, MAPPED_VECTORS)
        try:
            store = cls(index, MappedFiles(path))
        except (AttributeError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged: build the index again") from error
        if (np.diff(store.ids) <= 0).any():
            raise UserError(f"{path} is damaged: ids out of order; build the index again")
        return store

    @classmethod
    def of(cls, ids: np.ndarray, vectors: np.ndarray) -> Self:
        """Make a store in memory from ids (n,), ascending, and unit vectors (n, dim)."""
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
        self.files.check()
        k = max(k, 1)
        excluded = self._rows(exclude)
        if only is not None:
            rows = self._allowed(only, excluded)
            return self._best(rows, self._cosines(rows, query).clip(-1, 1), k)
        rows = self._nearest(query, k, excluded)
        ids, scores = self._best(rows, self._cosines(rows, query), k)
        finite = np.isfinite(scores)
        return ids[finite], scores[finite]

    def _nearest(self, query: np.ndarray, k: int, excluded: np.ndarray) -> np.ndarray:
        """Return rows, ascending, that surely include the k best and all ties with the k-th.

        FAISS sums products in its own order, so the scores of equal vectors may differ and close
        ones may change places; the caller scores the rows again.
        """
        wanted = k + _MORE
        if _LARGE_SHARE * wanted > self.count:  # filtering so many is slower than scoring all
            return np.setdiff1d(np.arange(self.count), excluded, assume_unique=True)
        parameters: Any = faiss.SearchParameters()
        kept = set_selector(parameters, exclude=self._ids[excluded])
        one = np.ascontiguousarray(query[None], dtype=np.float32)
        with one_thread():
            scores, found = self._index.search(one, wanted, params=parameters)
            scores, found = scores[0][found[0] >= 0], found[0][found[0] >= 0]
            if len(scores) == wanted:
                least = scores[k - 1] - ROUNDING * self.dim
                if scores[-1] >= least:  # there may be more ties with the k-th
                    _, _, found = self._index.range_search(one, float(least), params=parameters)
        del kept
        return np.searchsorted(self._ids, np.sort(found))

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `indexer.vectors.store.VectorStore`."""
        self.files.check()
        k = min(k, self.count)
        ids = np.zeros((len(queries), k), np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        vectors = np.require(self._vectors, requirements="A")  # a mapped file may not be aligned
        block = max(1, _SCORES_AT_ONCE // self.count)
        for start in range(0, len(queries), block):
            self.files.check()
            similarity = queries[start : start + block].astype(np.float32) @ vectors.T
            rows = np.argpartition(similarity, -k, axis=1)[:, -k:]
            cosines = np.take_along_axis(similarity, rows, axis=1)
            order = np.argsort(-cosines, axis=1, kind="stable")
            ids[start : start + block] = self._ids[np.take_along_axis(rows, order, axis=1)]
            scores[start : start + block] = np.take_along_axis(cosines, order, axis=1)
        return ids, scores


def read_flat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read ids, ascending, (n,) int64, and vectors, (n, dim) float32, of an index of format 1.

    Raises NotFoundError if a file is missing and UserError if one is damaged.
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
            flat = faiss.IndexFlatIP(block.shape[1])
            flat.codes.resize(len(ids) * flat.code_size)  # reserves memory for all rows at once,
            flat.codes.resize(0)  # where growing would take up to three times as much
            index = faiss.IndexIDMap2(flat)
        rows = np.ascontiguousarray(block, dtype=np.float32)
        index.add_with_ids(rows, np.ascontiguousarray(ids[first : first + len(rows)], np.int64))
        first += len(rows)
    return index
