"""The common base of vector stores: vectors by case id, and the order of equal scores."""

from collections.abc import Collection, Iterator

import numpy as np

from db.errors import NotFoundError
from indexer.vectors.mapped_files import MappedFiles
from indexer.vectors.row_files import BLOCK_ROWS

_SCORED_ROWS = 4096  # at a time: their vectors fit into a processor's cache


class RowVectors:
    """Rows of unit vectors with their case ids."""

    def __init__(
        self, ids: np.ndarray, vectors: np.ndarray, files: MappedFiles | None = None
    ) -> None:
        """ids: (n,) int64, ascending; vectors: (n, dim) float32 or float16; ``files``: those that
        they are mapped from."""
        self._ids = ids
        self._vectors = vectors
        self.files = files or MappedFiles()

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

    def vector(self, case_id: int) -> np.ndarray:
        """Return the vector of one case: (dim,) float32.

        Raises NotFoundError if there is no such case.
        """
        self.files.check()
        rows = self._rows([case_id])
        if not len(rows):
            raise NotFoundError(f"no case {case_id} in this index")
        return np.array(self._vectors[rows[0]], dtype=np.float32)

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Load all ids, ascending (n,), and their vectors (n, dim) into memory."""
        self.files.check()
        return np.array(self._ids), np.array(self._vectors, dtype=np.float32)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the content of `all` in blocks."""
        for start in range(0, self.count, BLOCK_ROWS):
            self.files.check()
            rows = slice(start, start + BLOCK_ROWS)
            yield np.array(self._ids[rows]), np.array(self._vectors[rows], dtype=np.float32)

    def _rows(self, ids: Collection[int] | np.ndarray) -> np.ndarray:
        """Return the rows, ascending, of the ids that exist."""
        if len(ids) == 0:
            return np.zeros(0, np.int64)
        if isinstance(ids, np.ndarray):
            wanted = ids.astype(np.int64, copy=False)
        else:
            wanted = np.fromiter(ids, dtype=np.int64, count=len(ids))
        if not (wanted[1:] > wanted[:-1]).all():
            wanted = np.unique(wanted)
        rows = np.searchsorted(self._ids, wanted)
        inside = rows < self.count
        rows, wanted = rows[inside], wanted[inside]
        found: np.ndarray = rows[self._ids[rows] == wanted]
        return found

    def _cosines(self, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Score rows on one thread. Waiting for a second thread costs more than it saves, on a busy
        machine a hundred times as much as the search itself."""
        query = query.astype(np.float32)
        cosines = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _SCORED_ROWS):
            some = slice(start, start + _SCORED_ROWS)
            # As bytes, because numpy copies unaligned numbers of a mapped file one by one.
            part = np.take(self._vectors.view(np.uint8), rows[some], axis=0)
            vectors = part.view(self._vectors.dtype).astype(np.float32, copy=False)
            cosines[some] = np.einsum("ij,j->i", vectors, query)
        return cosines

    def _allowed(self, only: Collection[int] | np.ndarray, excluded: np.ndarray) -> np.ndarray:
        """Return the rows of ``only``, ascending, without the ``excluded`` rows."""
        rows = self._rows(only)
        if not len(excluded):
            return rows
        kept = np.ones(self.count, bool)
        kept[excluded] = False
        allowed: np.ndarray = rows[kept[rows]]
        return allowed

    def _best(self, rows: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and scores of the k highest; equal scores in ascending order of id."""
        places = np.arange(len(scores))
        if k < len(scores):
            places = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
        ids = self._ids[rows[places]]
        order = np.lexsort((ids, -scores[places]))[:k]
        return ids[order], scores[places[order]]
