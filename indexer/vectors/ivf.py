"""Candidates for a search among many vectors: FAISS, which nothing else in the project knows.

    InvertedLists.build(path, blocks, sample, dim)
    InvertedLists.open(path).nearest(query, count=100, probes=64)

Every vector is in the list of its nearest centre (IVF) as a code of one bit a dimension with two
correction factors (RaBitQ: Gao and Long, SIGMOD 2024). A search reads the codes of some lists and
names rows that are probably near; who asked ranks them by the vectors themselves.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np

from db.errors import NotFoundError, UserError

TRAINING_ROWS = 40
"""Rows a centre that the centres are trained on."""

_ROUNDS = 6  # of k-means; more change recall by less than its noise
_QUERY_BITS = 4


def list_count(rows: int) -> int:
    """About four times the square root, a power of two; every list has rows to be trained on."""
    lists = 1
    while 2 * lists <= 4.8 * rows**0.5 and 2 * lists * TRAINING_ROWS <= rows:
        lists *= 2
    return lists


class InvertedLists:
    """Codes of all rows, mapped from disk."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(
        cls, path: Path, blocks: Iterable[np.ndarray], sample: np.ndarray, lists: int
    ) -> None:
        """Write the codes of ``blocks`` of rows, numbered from 0 in their order.

        Every block is (rows, dim) float32 of unit length; ``sample`` are some of the rows, which
        the centres of the ``lists`` are trained on. Raises OSError where the disk is full.
        """
        index: Any = faiss.index_factory(
            sample.shape[1], f"IVF{lists},RaBitQ", faiss.METRIC_INNER_PRODUCT
        )
        index.cp.niter = _ROUNDS
        index.cp.min_points_per_centroid = 1
        index.train(np.ascontiguousarray(sample, dtype=np.float32))
        for block in blocks:
            index.add(np.ascontiguousarray(block, dtype=np.float32))
        try:
            faiss.write_index(index, str(path))
        except RuntimeError as error:
            raise OSError(f"{path.name}: {_reason(error)}") from error

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotFoundError for a missing file and UserError for one that is damaged."""
        return cls(_read(path, faiss.IO_FLAG_MMAP))

    @property
    def count(self) -> int:
        """Rows."""
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
        """Up to ``count`` rows, ascending, that are probably the nearest to (dim,) ``query``.

        ``probes`` lists are read. With ``only``, no other rows are named; those of ``exclude``
        never are.
        """
        parameters: Any = faiss.IVFRaBitQSearchParameters()
        parameters.nprobe, parameters.qb = probes, _QUERY_BITS
        kept: list[Any] = []  # FAISS holds no reference to a selector's parts
        if only is not None:
            bitmap: Any = faiss.IDSelectorBitmap
            kept.append(bitmap(_bits(only, self.count)))
            parameters.sel = kept[-1]
        elif exclude is not None and len(exclude):
            kept.append(faiss.IDSelectorBatch(exclude))
            kept.append(faiss.IDSelectorNot(kept[-1]))
            parameters.sel = kept[-1]
        with _one_thread():
            _, found = self._index.search(
                np.ascontiguousarray(query[None], dtype=np.float32), count, params=parameters
            )
        return np.sort(found[0][found[0] >= 0])


def read_flat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ids, ascending, and vectors of an index of format 1: (n,) int64 and (n, dim) float32.

    Raises NotFoundError for a missing file and UserError for one that is damaged.
    """
    index = _read(path, 0)
    try:
        ids = faiss.vector_to_array(index.id_map)
        vectors = faiss.downcast_index(index.index).reconstruct_n(0, index.ntotal)
    except (AttributeError, RuntimeError) as error:
        raise UserError(f"{path} is damaged: build the index again") from error
    order = np.argsort(ids)
    return ids[order], vectors[order]


def _read(path: Path, flags: int) -> Any:
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist: the index is incomplete, build it again")
    try:
        return faiss.read_index(str(path), flags)
    except RuntimeError as error:
        raise UserError(f"{path} is damaged: build the index again") from error


@contextmanager
def _one_thread() -> Iterator[None]:
    """For one query: threads that wait for each other cost more than they bring."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _bits(rows: np.ndarray, count: int) -> np.ndarray:
    chosen = np.zeros(count, bool)
    chosen[rows] = True
    return np.packbits(chosen, bitorder="little")


def _reason(error: RuntimeError) -> str:
    return str(error).strip().rsplit("\n", 1)[-1]
