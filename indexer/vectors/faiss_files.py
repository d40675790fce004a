"""Read, map and write FAISS index files, and set up searches in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from db.errors import NotFoundError, UserError

MAPPED_LISTS = faiss.IO_FLAG_MMAP
"""Keep inverted lists on disk."""
MAPPED_VECTORS = faiss.IO_FLAG_MMAP_IFC
"""Keep flat vectors on disk."""


def read_faiss(path: Path, flags: int = 0) -> Any:
    """Read an index file.

    Raises NotFoundError if a file is missing and UserError if one is damaged.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist: the index is incomplete, build it again")
    try:
        return faiss.read_index(str(path), flags)
    except RuntimeError as error:
        raise UserError(f"{path} is damaged: build the index again") from error


def write_faiss(index: Any, path: Path) -> None:
    """Write an index file. Raises OSError if the disk is full."""
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        reason = str(error).strip().rsplit("\n", 1)[-1]
        raise OSError(f"{path.name}: {reason}") from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Run FAISS on one thread; for a single query, synchronising threads costs too much."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def set_selector(
    parameters: Any, *, only: np.ndarray | None = None, exclude: np.ndarray | None = None
) -> list[Any]:
    """Restrict a search to some ids, or exclude some.

    ``only`` has one bit per id, packed little-endian; ``exclude`` holds ids. Keep the returned
    objects until the search is over, because FAISS holds no reference to the parts of a selector.
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
