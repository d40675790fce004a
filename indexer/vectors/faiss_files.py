"""FAISS indexes as files: read where they can be mapped from disk, written, and searched."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from db.errors import NotFoundError, UserError

MAPPED_LISTS = faiss.IO_FLAG_MMAP
"""Inverted lists stay on disk."""
MAPPED_VECTORS = faiss.IO_FLAG_MMAP_IFC
"""Vectors that are kept as they are stay on disk."""


def read_faiss(path: Path, flags: int = 0) -> Any:
    """The index in a file.

    Raises NotFoundError for a missing file and UserError for one that is damaged.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist: the index is incomplete, build it again")
    try:
        return faiss.read_index(str(path), flags)
    except RuntimeError as error:
        raise UserError(f"{path} is damaged: build the index again") from error


def write_faiss(index: Any, path: Path) -> None:
    """Raises OSError where the disk is full."""
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        reason = str(error).strip().rsplit("\n", 1)[-1]
        raise OSError(f"{path.name}: {reason}") from error


@contextmanager
def one_thread() -> Iterator[None]:
    """For one query: threads that wait for each other cost more than they bring."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def selecting(
    parameters: Any, *, only: np.ndarray | None = None, exclude: np.ndarray | None = None
) -> list[Any]:
    """Have a search return only some ids, or none of some.

    ``only`` is one bit per id, packed little-endian; ``exclude`` are ids. Keep what is returned
    until the search is over: FAISS holds no reference to the parts of a selector.
    """
    parts: list[Any] = []
    if only is not None:
        bitmap: Any = faiss.IDSelectorBitmap
        parts.append(bitmap(only))
    elif exclude is not None and len(exclude):
        parts.append(faiss.IDSelectorBatch(exclude))
        parts.append(faiss.IDSelectorNot(parts[-1]))
    if parts:
        parameters.sel = parts[-1]
    return parts
