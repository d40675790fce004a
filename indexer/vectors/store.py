"""Vectors of an index by case id: searched exactly, or among candidates where they are many.

store = open_vectors(directory, manifest.vectors)
store.search(query, k=5, exclude={7})
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from indexer.vectors.exact import ExactVectors
from indexer.vectors.ivf import LISTS, IvfVectors
from indexer.vectors.options import VectorSpec


class VectorStore(Protocol):
    """Unit vectors by case id, compared by inner product (cosine)."""

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
        """The k nearest ids and their cosines, best first; fewer where fewer are left.

        query: (dim,) float32, unit length. ``exclude`` ids never appear; with ``only``, no
        others do. Equal scores come in ascending order of id.
        """
        ...

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """`search` of (m, dim) queries: ids and cosines, (m, k), best first."""
        ...

    def vector(self, case_id: int) -> np.ndarray:
        """The vector of one case: (dim,) float32.

        Raises NotFoundError for a case that is not there.
        """
        ...

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Every id, ascending (n,), and its vector (n, dim), in memory."""
        ...

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """`all` in pieces."""
        ...


def open_vectors(directory: Path, spec: VectorSpec) -> VectorStore:
    """The store of a version; no vector is read before it is needed.

    Raises NotFoundError for a missing file and UserError for one that is damaged.
    """
    if spec.type == "ivf":
        return IvfVectors.open(directory, spec)
    return ExactVectors.open(directory / LISTS)
