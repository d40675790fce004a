"""Vectors of an index by case id: searched exactly, or among candidates where they are many.

    store = VectorStore.open(directory, spec)
    store.search(query, k=5, exclude={7})

``case_ids.npy`` holds the ids, ascending, and ``case_vectors.npy`` the vectors in the same order;
both stay on disk and are mapped. Type ``exact`` compares a query with every vector. Type ``ivf``
asks ``vectors.faiss`` for candidates and ranks them by the vectors, kept as float16; how much
it reads and ranks is set by the recall that was measured when it was built
(``indexer.vectors.build``).
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Self

import numpy as np

from db.errors import NotFoundError, UserError
from indexer.vectors.ivf import InvertedLists, read_flat
from indexer.vectors.options import VectorSpec
from indexer.vectors.row_files import map_rows

IDS = "case_ids.npy"
VECTORS = "case_vectors.npy"
LISTS = "vectors.faiss"

_LEAST_HITS = 10  # to have candidates for
_SCANNED_ROWS = 20_000  # as fast exactly as through the lists


class VectorStore:
    """Unit vectors by case id, compared by inner product (cosine)."""

    def __init__(
        self,
        ids: np.ndarray,
        vectors: np.ndarray,
        lists: InvertedLists | None = None,
        spec: VectorSpec | None = None,
    ) -> None:
        """ids: (n,) int64, ascending; vectors: (n, dim) float32, or float16 beside lists."""
        self._ids = ids
        self._vectors = vectors
        self._lists = lists
        self._spec = spec or VectorSpec(type="exact")

    @classmethod
    def open(cls, directory: Path, spec: VectorSpec) -> Self:
        """Open a store; nothing is read before it is needed.

        Raises NotFoundError for a missing file and UserError for one that is damaged.
        """
        ids, vectors = map_rows(directory / IDS), map_rows(directory / VECTORS)
        lists = InvertedLists.open(directory / LISTS) if spec.type == "ivf" else None
        counts = {len(ids), len(vectors)} | ({lists.count} if lists is not None else set())
        if len(counts) != 1 or ids.ndim != 1 or vectors.ndim != 2:
            raise UserError(
                f"{directory} is damaged: {len(ids)} ids and vectors of shape {vectors.shape}; "
                "build the index again"
            )
        return cls(ids, vectors, lists, spec)

    @classmethod
    def open_format_1(cls, directory: Path) -> Self:
        """Open the one FAISS file of the first index format; it is read into memory."""
        return cls(*read_flat(directory / LISTS))

    @property
    def count(self) -> int:
        return len(self._ids)

    @property
    def dim(self) -> int:
        return int(self._vectors.shape[1])

    @property
    def ids(self) -> np.ndarray:
        """(n,) int64, ascending."""
        return self._ids

    def search(
        self,
        query: np.ndarray,
        k: int,
        *,
        exclude: Collection[int] | np.ndarray = (),
        only: Collection[int] | np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest ids and their cosines, best first; fewer where fewer are left.

        query: (dim,) float32, unit length. ``exclude`` ids never appear; with ``only``, no
        others do. Equal scores come in ascending order of id.
        """
        k = max(k, 1)
        excluded = self._rows(exclude)
        if only is not None:
            rows = np.setdiff1d(self._rows(only), excluded, assume_unique=True)
            if self._lists is not None and len(rows) > _SCANNED_ROWS:
                rows = self._candidates(self._lists, query, k, only=rows)
            return self._best(rows, self._scores(rows, query), k)
        if self._lists is not None:
            rows = self._candidates(self._lists, query, k, exclude=excluded)
            return self._best(rows, self._scores(rows, query), k)
        scores = _cosines(self._vectors, query)
        scores[excluded] = -np.inf
        ids, scores = self._best(None, scores, k)
        found = np.isfinite(scores)
        return ids[found], scores[found]

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """`search` of (m, dim) queries: ids and cosines, (m, k), best first."""
        k = min(k, self.count)
        ids = np.zeros((len(queries), k), np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        if self._lists is not None:
            for place, query in enumerate(queries):
                found, cosines = self.search(query, k)
                ids[place, : len(found)], scores[place, : len(found)] = found, cosines
            return ids, scores
        block = max(1, 16_000_000 // self.count)
        for start in range(0, len(queries), block):
            similarity = queries[start : start + block].astype(np.float32) @ self._vectors.T
            rows = np.argpartition(similarity, -k, axis=1)[:, -k:]
            cosines = np.take_along_axis(similarity, rows, axis=1)
            order = np.argsort(-cosines, axis=1, kind="stable")
            ids[start : start + block] = self._ids[np.take_along_axis(rows, order, axis=1)]
            scores[start : start + block] = np.take_along_axis(cosines, order, axis=1)
        return ids, scores

    def vector(self, case_id: int) -> np.ndarray:
        """The vector of one case: (dim,) float32."""
        rows = self._rows([case_id])
        if not len(rows):
            raise NotFoundError(f"no case {case_id} in this index")
        return np.asarray(self._vectors[rows[0]], dtype=np.float32)

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Every id, ascending (n,), and its vector (n, dim), in memory."""
        return np.array(self._ids), np.array(self._vectors, dtype=np.float32)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """`all` in pieces."""
        for start in range(0, self.count, 8192):
            rows = slice(start, start + 8192)
            yield np.array(self._ids[rows]), np.array(self._vectors[rows], dtype=np.float32)

    def _rows(self, ids: Collection[int] | np.ndarray) -> np.ndarray:
        if len(ids) == 0:
            return np.zeros(0, np.int64)
        wanted = np.unique(np.fromiter(ids, dtype=np.int64, count=len(ids)))
        rows = np.searchsorted(self._ids, wanted)
        inside = rows < self.count
        rows, wanted = rows[inside], wanted[inside]
        found: np.ndarray = rows[self._ids[rows] == wanted]
        return found

    def _scores(self, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
        scores = _cosines(self._vectors[rows].astype(np.float32), query)
        return scores.clip(-1, 1)  # float16 may be a little longer than 1

    def _best(
        self, rows: np.ndarray | None, scores: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        places = np.arange(len(scores))
        if k < len(scores):
            places = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
        ids = self._ids[places if rows is None else rows[places]]
        order = np.lexsort((ids, -scores[places]))[:k]
        return ids[order], scores[places[order]]

    def _candidates(
        self,
        lists: InvertedLists,
        query: np.ndarray,
        k: int,
        *,
        only: np.ndarray | None = None,
        exclude: np.ndarray | None = None,
    ) -> np.ndarray:
        """Rows to rank: more lists are read for more hits, or where few rows may be named."""
        reachable = (
            len(only) if only is not None else self.count - (0 if exclude is None else len(exclude))
        )
        wanted = min(self._spec.candidates * max(k, _LEAST_HITS), reachable)
        probes = max(
            self._spec.probes * self.count // max(reachable, 1),
            2 * wanted * lists.lists // max(reachable, 1),
        )
        while True:
            probes = min(probes, lists.lists)
            rows = lists.nearest(query, count=wanted, probes=probes, only=only, exclude=exclude)
            if len(rows) == wanted or probes == lists.lists:
                return rows
            probes *= 4


def _cosines(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """On one thread: waiting for a second costs more than it brings, and on a busy machine a
    hundred times more than the whole search."""
    cosines: np.ndarray = np.einsum("ij,j->i", vectors, query.astype(np.float32))
    return cosines
