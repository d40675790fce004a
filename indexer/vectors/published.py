"""Search vectors in PostgreSQL: exactly where few cases are left, by HNSW otherwise.

store = PublishedVectors(PublishedVersion.open(url))
store.search(query, k=5, exclude={7})

PostgreSQL proposes cases; their float32 vectors are scored here as `ExactVectors` scores them. So
an exact search has the same hits, scores and order as one in FAISS.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from db.errors import NotFoundError
from db.index.published import PublishedVersion
from db.index.vector_rows import VectorRows
from indexer.vectors.exact import ROUNDING, ExactVectors
from indexer.vectors.mapped_files import MappedFiles

_MORE = 16
"""How many more than k cases are asked for, to tell whether any come close to the k-th."""
PROPOSED = 4
"""How many cases HNSW proposes per requested hit."""
HNSW_SHARE = 0.2
"""HNSW is searched only where at least this share of the cases may be hits: below it, its recall is
lower and an exact search is fast."""
_BLOCK = 4096


class PublishedVectors:
    """A `VectorStore` on a version in PostgreSQL."""

    def __init__(self, version: PublishedVersion) -> None:
        self._version = version
        with version.reading() as rows:
            self._ids = rows.ids()
        self.files = MappedFiles()

    @property
    def count(self) -> int:
        return len(self._ids)

    @property
    def dim(self) -> int:
        return self._version.dim

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
        exact: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `indexer.vectors.store.VectorStore`; ``exact`` never asks HNSW."""
        k = max(k, 1)
        excluded = self._known(exclude)
        wanted = None
        if only is not None:
            wanted = np.setdiff1d(self._known(only), excluded, assume_unique=True)
            excluded = excluded[:0]
        left = self.count - len(excluded) if wanted is None else len(wanted)
        rules = {
            "exclude": excluded.tolist(),
            "only": None if wanted is None else wanted.tolist(),
        }
        with self._version.reading() as rows:
            if self._version.hnsw and not exact and left >= HNSW_SHARE * self.count:
                found = rows.nearest(query, PROPOSED * k, approximate=True, **rules)
            else:
                found = _surely_nearest(rows, query, k, rules)
        return best(*found, query, k, clipped=only is not None)

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `indexer.vectors.store.VectorStore`."""
        k = min(k, self.count)
        found = [self.search(query, k) for query in queries]
        ids = np.zeros((len(queries), k), np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        for row, (some, theirs) in enumerate(found):
            ids[row, : len(some)], scores[row, : len(some)] = some, theirs
        return ids, scores

    def vector(self, case_id: int) -> np.ndarray:
        """Return the vector of one case: (dim,) float32.

        Raises NotFoundError if there is no such case.
        """
        with self._version.reading() as rows:
            ids, vectors = rows.block(case_id, 1)
        if not len(ids) or ids[0] != case_id:
            raise NotFoundError(f"no case {case_id} in this index")
        found: np.ndarray = vectors[0]
        return found

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Load all ids, ascending (n,), and their vectors (n, dim) into memory."""
        blocks = list(self.blocks())
        return np.concatenate([ids for ids, _ in blocks]), np.concatenate([v for _, v in blocks])

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the content of `all` in blocks."""
        first = 0
        while True:
            with self._version.reading() as rows:
                ids, vectors = rows.block(first, _BLOCK)
            if not len(ids):
                return
            yield ids, vectors
            first = int(ids[-1]) + 1

    def _known(self, ids: Collection[int] | np.ndarray) -> np.ndarray:
        """Return those of the ids that exist, ascending."""
        if not len(ids):
            return np.zeros(0, np.int64)
        return np.intersect1d(np.fromiter(ids, np.int64, count=len(ids)), self._ids)


def best(
    ids: np.ndarray, vectors: np.ndarray, query: np.ndarray, k: int, *, clipped: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Score vectors, (n, dim) float32, and return the k best ids and their cosines."""
    if not len(ids):
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    order = np.argsort(ids)
    store = ExactVectors.of(ids[order], vectors[order])
    return store.search(query, k, only=ids if clipped else None)


def _surely_nearest(
    rows: VectorRows, query: np.ndarray, k: int, rules: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and vectors that surely include the k best and all ties with the k-th.

    pgvector sums products in its own order, as FAISS does.
    """
    ids, vectors = rows.nearest(query, k + _MORE, **rules)
    if len(ids) == k + _MORE:
        scores = np.einsum("ij,j->i", vectors, query.astype(np.float32))
        least = float(np.sort(scores)[-k]) - 2 * ROUNDING * vectors.shape[1]
        if scores.min() >= least:  # there may be more ties with the k-th
            return rows.within(query, least, **rules)
    return ids, vectors
