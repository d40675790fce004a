"""SQLite engines as this project wants them."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event

_READERS = 8
"""Connections that are kept; more threads at once wait for one."""


def open_sqlite(path: Path, *, read_only: bool, write_ahead_log: bool = False) -> Engine:
    """An engine on one SQLite file, with foreign keys enforced.

    A read-only engine never creates the file and takes no lock that a copy on a read-only disk
    could not give. All its connections are made at once: when a rebuild puts another file at the
    path, they stay on the one that was opened. With a write-ahead log readers never wait for a
    writer; without one the database stays a single file that can be renamed and opened on
    read-only media.
    """
    if read_only:
        url = f"sqlite:///file:{path.resolve().as_posix()}?mode=ro&uri=true"
    else:
        url = f"sqlite:///{path.resolve().as_posix()}"
    engine = create_engine(url, pool_size=_READERS, max_overflow=0 if read_only else 10)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA busy_timeout = 5000")
        if write_ahead_log:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten

    if read_only:
        with ExitStack() as stack:
            for _ in range(_READERS):
                stack.enter_context(engine.connect())
    return engine
