"""Vectors of an index: FAISS behind a few verbs. Nothing else in the project knows FAISS.

VectorStore.write(path, ids, vectors)
VectorStore.open(path).search(query, k=5, exclude={7})
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np

from db.errors import NotFoundError, UserError


class VectorStore:
    """Unit vectors by case id, searched exactly by inner product (cosine)."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def write(cls, path: Path, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Write a store. ids: (n,) int64, distinct; vectors: (n, dim) float32, unit length."""
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        index.add_with_ids(
            np.ascontiguousarray(vectors, dtype=np.float32), np.asarray(ids, dtype=np.int64)
        )
        faiss.write_index(index, str(path))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a store.

        Raises NotFoundError for a missing file and UserError for one that is damaged.
        """
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: the index is incomplete, build it again")
        try:
            return cls(faiss.read_index(str(path)))
        except RuntimeError as error:
            raise UserError(f"{path} is damaged: build the index again") from error

    @property
    def count(self) -> int:
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        return int(self._index.d)

    def search(
        self,
        query: np.ndarray,
        k: int,
        *,
        exclude: Collection[int] = (),
        only: Collection[int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest ids and their cosines, best first; fewer where fewer are left.

        query: (dim,) float32, unit length. ``exclude`` ids never appear; with ``only``, no
        others do. Equal scores come in ascending order of id.
        """
        selector: Any = faiss.IDSelectorNot(faiss.IDSelectorBatch(_ids(exclude)))
        if only is not None:
            selector = faiss.IDSelectorAnd(faiss.IDSelectorBatch(_ids(only)), selector)
        parameters: Any = faiss.SearchParameters()
        parameters.sel = selector
        scores, ids = self._index.search(
            np.ascontiguousarray(query[None], dtype=np.float32),
            min(k, self.count) or 1,
            params=parameters,
        )
        found = ids[0] >= 0
        order = np.lexsort((ids[0][found], -scores[0][found]))
        return ids[0][found][order], scores[0][found][order]

    def vector(self, case_id: int) -> np.ndarray:
        """The vector of one case: (dim,) float32."""
        try:
            return np.asarray(self._index.reconstruct(int(case_id)), dtype=np.float32)
        except RuntimeError as error:
            raise NotFoundError(f"no case {case_id} in this index") from error

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Every id, ascending (n,), and its vector (n, dim)."""
        ids = np.sort(faiss.vector_to_array(self._index.id_map))
        rows = [self._index.reconstruct(int(i)) for i in ids]
        return ids, np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)


def _ids(values: Collection[int]) -> np.ndarray:
    return np.fromiter(values, dtype=np.int64, count=len(values))
