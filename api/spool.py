"""Keep the files of one request on disk, without a name, until it ends.

    spool = Spool.open()
    file = spool.add(b"...")          # or write() piece by piece, then file_since(start)
    file.read()

The file is in the folder of `api.temporary_files`. It has no name, so that it disappears with the
process, however that ends. A spool closes when nothing refers to it or to its files any more.
"""

import os
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Self


class Spool:
    """One unnamed file that holds the files of a request one after another."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = 0
        """Bytes so far."""
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def open(cls) -> Self:
        """Create the file in the folder for temporary files, and take its name away."""
        with tempfile.TemporaryFile(buffering=0) as file:
            return cls(os.dup(file.fileno()))

    @classmethod
    def existing(cls, path: Path) -> "SpooledFile":
        """Open a file that is kept elsewhere. Raises OSError."""
        spool = cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        spool.size = os.fstat(spool.descriptor).st_size
        return spool.file_since(0)

    def write(self, data: bytes | bytearray) -> None:
        """Append to the end."""
        view = memoryview(data)
        while view:
            written = os.write(self.descriptor, view)
            self.size += written
            view = view[written:]

    def file_since(self, start: int) -> "SpooledFile":
        """Return what was written since the spool had this size, as one file."""
        return SpooledFile(spool=self, offset=start, length=self.size - start)

    def add(self, data: bytes) -> "SpooledFile":
        """Append a whole file."""
        start = self.size
        self.write(data)
        return self.file_since(start)


@dataclass(frozen=True, kw_only=True)
class SpooledFile:
    """A file of a request."""

    spool: Spool
    offset: int
    length: int

    def read(self) -> bytes:
        """Read the whole file."""
        parts = []
        position, end = self.offset, self.offset + self.length
        while position < end and (
            part := os.pread(self.spool.descriptor, end - position, position)
        ):
            parts.append(part)
            position += len(part)
        return b"".join(parts)
