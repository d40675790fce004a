"""Search large numbers of vectors: FAISS finds candidates, the vectors themselves rank them.

    InvertedLists.build(directory / LISTS, blocks, sample, lists)
    IvfVectors.open(directory, spec).search(query, k=5)

``vectors.faiss`` holds every vector in the list of its nearest centre (IVF), as a code of one bit
per dimension with two correction factors (RaBitQ: Gao and Long, SIGMOD 2024). A search reads the
codes of some lists and ranks the best rows by their float16 vectors in ``case_vectors.npy``, whose
ids are in ``case_ids.npy``. How much is read and ranked depends on the recall measured when the
index was built (``indexer.vectors.build``). All three files are mapped from disk.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np

from db.errors import UserError
from indexer.vectors.faiss_files import (
    MAPPED_LISTS,
    one_thread,
    read_faiss,
    set_selector,
    write_faiss,
)
from indexer.vectors.mapped_files import MappedFiles
from indexer.vectors.options import VectorSpec
from indexer.vectors.row_files import map_rows
from indexer.vectors.row_vectors import RowVectors

LISTS = "vectors.faiss"
IDS = "case_ids.npy"
VECTORS = "case_vectors.npy"

TRAINING_ROWS = 40
"""Training rows per centre."""

_ROUNDS = 6  # of k-means; more rounds change recall by less than its noise
_QUERY_BITS = 4
_LEAST_HITS = 10  # fewer requested hits still get candidates for this many
_SCANNED_ROWS = 200_000
"""Up to so many rows that a search is restricted to, all of them are ranked."""
_RESTRICTED_CANDIDATES = 10_000
"""Among more rows than that at least so many are ranked: the codes are coarse, and the nearest of
some rows may all be far from the query."""


def list_count(rows: int) -> int:
    """Return a power of two near four times the square root, limited by the training rows."""
    lists = 1
    while 2 * lists <= 4.8 * rows**0.5 and 2 * lists * TRAINING_ROWS <= rows:
        lists *= 2
    return lists


class InvertedLists:
    """The codes of all rows, mapped from disk."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(
        cls, path: Path, blocks: Iterable[np.ndarray], sample: np.ndarray, lists: int
    ) -> None:
        """Write the codes of ``blocks`` of rows, numbered from 0 in their order.

        Every block is (rows, dim) float32 of unit length; the centres of the ``lists`` are trained
        on ``sample``, some of the rows. Raises OSError if the disk is full.
        """
        index: Any = faiss.index_factory(
            sample.shape[1], f"IVF{lists},RaBitQ", faiss.METRIC_INNER_PRODUCT
        )
        index.cp.niter = _ROUNDS
        index.cp.min_points_per_centroid = 1
        index.train(np.ascontiguousarray(sample, dtype=np.float32))
        for block in blocks:
            index.add(np.ascontiguousarray(block, dtype=np.float32))
        write_faiss(index, path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotFoundError if a file is missing and UserError if one is damaged."""
        return cls(read_faiss(path, MAPPED_LISTS))

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self._index.ntotal)

    @property
    def lists(self) -> int:
        return int(self._index.nlist)

    def nearest(
        self,
        query: np.ndarray,
        *,
        count: int,
        probes: int,
        only: np.ndarray | None = None,
        exclude: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return up to ``count`` rows, ascending, that are probably nearest to (dim,) ``query``.

        ``probes`` lists are read. ``only`` restricts the result to these rows; rows in ``exclude``
        are never returned.
        """
        parameters: Any = faiss.IVFRaBitQSearchParameters()
        parameters.nprobe, parameters.qb = probes, _QUERY_BITS
        bits = None if only is None else _bits(only, self.count)
        kept = set_selector(parameters, only=bits, exclude=exclude)
        with one_thread():
            _, found = self._index.search(
                np.ascontiguousarray(query[None], dtype=np.float32), count, params=parameters
            )
        del kept
        return np.sort(found[0][found[0] >= 0])


class IvfVectors(RowVectors):
    """A `VectorStore` that ranks candidates from inverted lists."""

    def __init__(
        self,
        ids: np.ndarray,
        vectors: np.ndarray,
        lists: InvertedLists,
        spec: VectorSpec,
        files: MappedFiles | None = None,
    ) -> None:
        """ids: (n,) int64, ascending; vectors: (n, dim) float16; lists: of the same rows; all
        mapped from ``files``."""
        super().__init__(ids, vectors, files)
        self._lists = lists
        self._spec = spec

    @classmethod
    def open(cls, directory: Path, spec: VectorSpec) -> Self:
        """Raises NotFoundError if a file is missing and UserError if one is damaged."""
        ids, vectors = map_rows(directory / IDS), map_rows(directory / VECTORS)
        lists = InvertedLists.open(directory / LISTS)
        if not len(ids) == len(vectors) == lists.count or ids.ndim != 1 or vectors.ndim != 2:
            raise UserError(
                f"{directory} is damaged: {len(ids)} ids and vectors of shape {vectors.shape}; "
                "build the index again"
            )
        files = MappedFiles(directory / IDS, directory / VECTORS, directory / LISTS)
        return cls(ids, vectors, lists, spec, files)

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
        if only is None:
            rows = self._candidates(query, k, exclude=excluded)
        else:
            rows = self._allowed(only, excluded)
            if len(rows) > _SCANNED_ROWS:
                rows = self._candidates(query, k, only=rows)
        scores = self._cosines(rows, query).clip(-1, 1)  # in float16, lengths may slightly exceed 1
        return self._best(rows, scores, k)

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `indexer.vectors.store.VectorStore`."""
        k = min(k, self.count)
        ids = np.zeros((len(queries), k), np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        for place, query in enumerate(queries):
            found, cosines = self.search(query, k)
            ids[place, : len(found)], scores[place, : len(found)] = found, cosines
        return ids, scores

    def _candidates(
        self,
        query: np.ndarray,
        k: int,
        *,
        only: np.ndarray | None = None,
        exclude: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the rows to rank, reading more lists for more hits or if few rows are allowed."""
        reachable = (
            len(only) if only is not None else self.count - (0 if exclude is None else len(exclude))
        )
        wanted = self._spec.candidates * max(k, _LEAST_HITS)
        if only is not None:
            wanted = max(wanted, _RESTRICTED_CANDIDATES)
        wanted = min(wanted, reachable)
        probes = max(
            self._spec.probes * self.count // max(reachable, 1),
            2 * wanted * self._lists.lists // max(reachable, 1),
        )
        while True:
            probes = min(probes, self._lists.lists)
            rows = self._lists.nearest(
                query, count=wanted, probes=probes, only=only, exclude=exclude
            )
            if len(rows) == wanted or probes == self._lists.lists:
                return rows
            probes *= 4


def _bits(rows: np.ndarray, count: int) -> np.ndarray:
    chosen = np.zeros(count, bool)
    chosen[rows] = True
    return np.packbits(chosen, bitorder="little")
