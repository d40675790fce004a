"""Notice mapped files that were cut short in place.

Reading a page of a mapped file beyond its end does not raise: the system ends the process (SIGBUS).
So whoever reads a mapping asks first. Only a file that is cut short in the instant between the
question and the read still ends the process.
"""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from db.errors import UnavailableError

_RETRY_SECONDS = 60


class MappedFiles:
    """Files that are mapped, held open, so that a version that was removed is still known."""

    def __init__(self, *paths: Path) -> None:
        """Raises OSError if a file cannot be opened."""
        self._names = [path.name for path in paths]
        self._open: list[int] = []
        weakref.finalize(self, _close, self._open)
        for path in paths:
            self._open.append(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)))
        self._sizes = [os.fstat(file).st_size for file in self._open]

    def check(self) -> None:
        """Raise UnavailableError if a file is shorter than it was."""
        for name, file, size in zip(self._names, self._open, self._sizes, strict=True):
            now = os.fstat(file).st_size
            if now < size:
                raise UnavailableError(
                    f"{name} of the index was cut short while in use ({now} bytes instead of "
                    f"{size}): build the index again, then reload it or restart the server",
                    retry_after=_RETRY_SECONDS,
                )


def _close(files: Sequence[int]) -> None:
    for file in files:
        os.close(file)
