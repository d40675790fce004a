"""Large arrays in ``.npy`` files: mapped for searches, read in blocks for builds.

Reading a block copies it and releases the file, so the memory of a build does not grow with the
number of rows.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from db.errors import NotFoundError, UserError

BLOCK_ROWS = 8192


def map_rows(path: Path) -> np.ndarray:
    """Map the array from disk.

    Raises NotFoundError if a file is missing and UserError if one is damaged.
    """
    try:
        rows = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError as error:
        raise NotFoundError(
            f"{path} does not exist: the index is incomplete, build it again"
        ) from error
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is damaged: build the index again") from error
    return rows


def read_blocks(path: Path) -> Iterator[np.ndarray]:
    """Yield all rows in order, block by block."""
    for start in range(0, len(map_rows(path)), BLOCK_ROWS):
        yield np.array(map_rows(path)[start : start + BLOCK_ROWS])


class RowFile:
    """A ``.npy`` file written from start to end; the number of rows is known in advance."""

    def __init__(self, path: Path, rows: int, *row_shape: int, dtype: type[np.generic]) -> None:
        self._stream = path.open("wb")
        self._dtype = dtype
        self._missing = rows
        head = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
            "fortran_order": False,
            "shape": (rows, *row_shape),
        }
        np.lib.format.write_array_header_1_0(self._stream, head)

    def append(self, rows: np.ndarray) -> None:
        """Raises OSError if the disk is full."""
        self._stream.write(np.ascontiguousarray(rows, dtype=self._dtype).tobytes())
        self._missing -= len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._stream.close()
        if error is None and self._missing:
            raise ValueError(f"{self._missing} rows are missing in {self._stream.name}")
