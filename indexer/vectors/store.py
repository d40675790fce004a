"""The interface of vector stores, and the choice of one for an index.

store = open_vectors(directory, manifest.vectors)
store.search(query, k=5, exclude={7})
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from indexer.vectors.exact import ExactVectors
from indexer.vectors.ivf import LISTS, IvfVectors
from indexer.vectors.mapped_files import MappedFiles
from indexer.vectors.options import VectorSpec


class VectorStore(Protocol):
    """Unit vectors by case id, compared by inner product (cosine)."""

    files: MappedFiles
    """Those that the vectors are mapped from; none if they are in memory."""

    @property
    def count(self) -> int: ...

    @property
    def dim(self) -> int: ...

    @property
    def ids(self) -> np.ndarray:
        """(n,) int64, ascending."""
        ...

    def search(
        self,
        query: np.ndarray,
        k: int,
        *,
        exclude: Collection[int] | np.ndarray = (),
        only: Collection[int] | np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest ids and their cosines, best first; fewer if fewer are left.

        query: (dim,) float32, unit length. Ids in ``exclude`` never appear; with ``only``, no other
        ids do. Equal scores come in ascending order of id.
        """
        ...

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Search for (m, dim) queries: ids and cosines, (m, k), best first."""
        ...

    def vector(self, case_id: int) -> np.ndarray:
        """Return the vector of one case: (dim,) float32.

        Raises NotFoundError if there is no such case.
        """
        ...

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Load all ids, ascending (n,), and their vectors (n, dim) into memory."""
        ...

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the content of `all` in blocks."""
        ...


def open_vectors(directory: Path, spec: VectorSpec) -> VectorStore:
    """Open the vector store of a version; vectors are read when needed.

    Raises NotFoundError if a file is missing and UserError if one is damaged.
    """
    if spec.type == "ivf":
        return IvfVectors.open(directory, spec)
    return ExactVectors.open(directory / LISTS)
