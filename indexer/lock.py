"""One writer at a time, also across processes."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.errors import UserError


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold an advisory lock on ``path``; it falls with the process, however that ends.

    Raises UserError with ``message`` where another process holds it.
    """
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{message}: wait for it to end") from error
        yield
