"""One writer at a time, also across processes."""

import datetime
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.errors import UserError


@contextmanager
def locked(path: Path, work: str) -> Iterator[None]:
    """Hold an advisory lock on ``path``; it falls with the process, however that ends.

    ``work`` is what another process is told: "process 4711 is at work: adding to data/index,
    since 12:03 UTC". Raises UserError where another process holds the lock.
    """
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read(500) or "another process"
            raise UserError(f"{holder}: wait for it to end, or stop it") from error
        now = datetime.datetime.now(datetime.UTC)
        stream.truncate(0)
        stream.write(f"process {os.getpid()} is at work: {work}, since {now:%H:%M} UTC")
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
