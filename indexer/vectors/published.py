"""Search vectors in PostgreSQL: exactly where few cases are left, by HNSW otherwise.

store = PublishedVectors(PublishedVersion.open(url), manifest.server)
store.select(query, k=5, selection=Selection(without_patients=("p17",)))

PostgreSQL proposes cases; their float32 vectors are scored here as `ExactVectors` scores them. So
an exact search has the same hits, scores and order as one in FAISS.
"""

from collections.abc import Collection, Iterator

import numpy as np

from db.errors import NotFoundError
from db.index.published import PublishedVersion
from db.index.selection import ALL, Selection
from db.index.vector_rows import VectorRows
from indexer.vectors.exact import ROUNDING, ExactVectors
from indexer.vectors.mapped_files import MappedFiles
from indexer.vectors.options import ServerSpec

_MORE = 16
"""How many more than k cases are asked for, to tell whether any come close to the k-th."""
_PROPOSED = 4
"""How many cases HNSW proposes per requested hit; their float32 vectors decide. With a filter it is
more by the share that the filter leaves, so that as many cases are visited."""
_MOST_PROPOSED = 16
_BLOCK = 4096


class PublishedVectors:
    """A `VectorStore` on a version in PostgreSQL."""

    def __init__(self, version: PublishedVersion, spec: ServerSpec) -> None:
        self._version = version
        self._spec = spec
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
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `indexer.vectors.store.VectorStore`."""
        selection = Selection(
            without_cases=frozenset(map(int, exclude)),
            only_cases=None if only is None else frozenset(map(int, only)),
        )
        return self.select(query, k, selection)

    def select(
        self, query: np.ndarray, k: int, selection: Selection
    ) -> tuple[np.ndarray, np.ndarray]:
        """Like `search`, among the cases of a selection, which the server finds by its rules."""
        with self._version.reading() as rows:
            return search_rows(rows, query, k, selection, spec=self._spec, count=self.count)

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


def search_rows(
    rows: VectorRows,
    query: np.ndarray,
    k: int,
    selection: Selection = ALL,
    *,
    spec: ServerSpec,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Search ``count`` vectors of a version: ids and cosines, best first."""
    k = max(k, 1)
    clipped = bool(selection.labels) or selection.only_cases is not None
    left, ef_search = count, 0
    if spec.classes:
        left = count if selection == ALL else rows.allowed(selection, count)
        ef_search = spec.ef_search(left, count)
    if ef_search:
        ids, vectors = rows.proposed(
            query,
            k + _MORE,
            selection,
            proposed=_proposed(left / max(count, 1)) * (k + _MORE),
            ef_search=ef_search,
        )
        if len(ids) >= k:
            return _best(ids, vectors, query, k, clipped=clipped)
    return _best(*_surely_nearest(rows, query, k, selection), query, k, clipped=clipped)


def _proposed(share: float) -> int:
    """How many cases HNSW proposes per hit where a filter leaves this share of the cases."""
    return round(min(_PROPOSED / max(share, 0.01), _MOST_PROPOSED))


def _best(
    ids: np.ndarray, vectors: np.ndarray, query: np.ndarray, k: int, *, clipped: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Score vectors, (n, dim) float32, and return the k best ids and their cosines."""
    if not len(ids):
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    order = np.argsort(ids)
    store = ExactVectors.of(ids[order], vectors[order])
    return store.search(query, k, only=ids if clipped else None)


def _surely_nearest(
    rows: VectorRows, query: np.ndarray, k: int, selection: Selection
) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and vectors that surely include the k best and all ties with the k-th.

    pgvector sums products in its own order, as FAISS does.
    """
    ids, vectors = rows.nearest(query, k + _MORE, selection)
    if len(ids) == k + _MORE:
        scores = np.einsum("ij,j->i", vectors, query.astype(np.float32))
        least = float(np.sort(scores)[-k]) - 2 * ROUNDING * vectors.shape[1]
        if scores.min() >= least:  # there may be more ties with the k-th
            return rows.within(query, least, selection)
    return ids, vectors
