"""SQLite engines as this project wants them, and the one way to write to one."""

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

DatabaseFailure = DatabaseError
"""What every store raises where the file cannot be read or written now: full, locked or broken."""
LOCK_TIMEOUT = 5.0
"""Seconds that a writer waits for others."""
_READERS = 8
"""Connections that are kept; more threads at once wait for one."""


class FairLock:
    """A lock between threads, given in the order in which it was asked for. Not reentrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._line: deque[threading.Event] = deque()

    @property
    def in_line(self) -> int:
        """How many hold it or wait for it."""
        return len(self._line)

    @contextmanager
    def turn(self, lock_timeout: float) -> Iterator[None]:
        """Hold the lock while the block runs.

        Raises TimeoutError if the turn does not come within ``lock_timeout`` seconds.
        """
        mine = threading.Event()
        with self._guard:
            self._line.append(mine)
            self._line[0].set()
        try:
            if not mine.wait(lock_timeout):
                raise TimeoutError(f"no turn came in {lock_timeout:g} seconds")
            yield
        finally:
            with self._guard:
                self._line.remove(mine)
                if self._line:
                    self._line[0].set()


_guard = threading.Lock()
_lines: WeakValueDictionary[str, FairLock] = WeakValueDictionary()
"""The writers of this process, by the path of their database; one that nobody uses goes."""


def open_sqlite(
    path: Path,
    *,
    read_only: bool,
    write_ahead_log: bool = False,
    lock_timeout: float = LOCK_TIMEOUT,
) -> Engine:
    """An engine on one SQLite file, with foreign keys enforced.

    A read-only engine never creates the file and takes no lock that a copy on a read-only disk
    could not give. All its connections are made at once: when a rebuild puts another file at the
    path, they stay on the one that was opened. With a write-ahead log readers never wait for a
    writer; without one the database stays a single file that can be renamed and opened on
    read-only media. ``lock_timeout`` (seconds) is how long a lock is waited for.
    """
    if read_only:
        url = f"sqlite:///file:{path.resolve().as_posix()}?mode=ro&uri=true"
    else:
        url = f"sqlite:///{path.resolve().as_posix()}"
    engine = create_engine(
        url,
        pool_size=_READERS,
        max_overflow=0 if read_only else 10,
        execution_options={"lock_timeout": lock_timeout},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(_busy_timeout(lock_timeout))
        if write_ahead_log:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten

    if read_only:
        with ExitStack() as stack:
            for _ in range(_READERS):
                stack.enter_context(engine.connect())
    return engine


@contextmanager
def write_transaction(engine: Engine, *, lock_timeout: float | None = None) -> Iterator[Connection]:
    """A connection that holds SQLite's one write lock until the block ends and all is committed.

    SQLite lets its writers try again by chance, so under load some never come to write. Those of
    this process take turns instead, and each waits for another process alone. Either wait ends
    after ``lock_timeout`` seconds, or those of the engine, in sqlalchemy.exc.OperationalError.
    """
    seconds: float = (
        engine.get_execution_options()["lock_timeout"] if lock_timeout is None else lock_timeout
    )
    with (
        _turn(engine, seconds),  # before the connection: who stands in line keeps none from others
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        connection.exec_driver_sql(_busy_timeout(seconds))
        # The driver opens no transaction of its own in this mode, so this one is ours alone.
        connection.exec_driver_sql(_BEGIN)
        try:
            yield connection
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            if connection.connection.in_transaction:
                connection.exec_driver_sql("ROLLBACK")
            raise


_BEGIN = "BEGIN IMMEDIATE"


@contextmanager
def writing(engine: Engine, *, lock_timeout: float | None = None) -> Iterator[Session]:
    """A session in a write transaction, as `write_transaction` gives it.

    What is read in it cannot be outdated by another writer, in this process or another, before it
    is acted upon. All of it is stored, or nothing; it is on disk when the block ends.
    """
    with (
        write_transaction(engine, lock_timeout=lock_timeout) as connection,
        Session(bind=connection) as session,
    ):
        yield session
        session.flush()


def writers(path: Path) -> FairLock:
    """The line in which the writers of this process wait for one database."""
    with _guard:
        return _lines.setdefault(path.resolve().as_posix(), FairLock())


@contextmanager
def _turn(engine: Engine, seconds: float) -> Iterator[None]:
    """Raises what SQLite says where a writer of another process is in the way too long."""
    line = writers(Path(engine.url.database or ""))
    with ExitStack() as stack:
        try:
            stack.enter_context(line.turn(seconds))
        except TimeoutError as error:
            locked = sqlite3.OperationalError(f"database is locked: {error}")
            raise OperationalError(_BEGIN, None, locked) from error
        yield


def _busy_timeout(seconds: float) -> str:
    return f"PRAGMA busy_timeout = {round(seconds * 1000)}"
