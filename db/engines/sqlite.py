"""Create SQLite engines, and write through them one transaction at a time; hold their files."""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError

from db.engines.pool import BoundedPool

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Results that speak of the file or the disk, and not of the statement."""
LOCK_TIMEOUT = 5.0
"""Seconds that a writer waits for others."""
LOG_TIMEOUT = 0.25
"""Seconds that `empty_log` waits for others, who may have to wait for it meanwhile."""
_READERS = 8
"""Number of pooled connections; further threads wait for one."""


def why_unusable(error: DatabaseError) -> str | None:
    """Return in a few words why the database cannot be used at present.

    None if the database is well and the statement at fault, which is a bug.
    """
    code = getattr(error.orig, "sqlite_errorcode", None)
    return str(error.orig) if code is not None and code & 0xFF in _PASSING else None


def _failure(code: int, message: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


class FairLock:
    """A lock for threads, granted in the order of requests. Not reentrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._line: deque[threading.Event] = deque()

    @property
    def in_line(self) -> int:
        """Number of threads that hold the lock or wait for it."""
        return len(self._line)

    @contextmanager
    def turn(self, lock_timeout: float) -> Iterator[None]:
        """Hold the lock while the block runs.

        Raises TimeoutError if it is not granted within ``lock_timeout`` seconds.
        """
        mine = threading.Event()
        with self._guard:
            self._line.append(mine)
            self._line[0].set()
        try:
            if not mine.wait(lock_timeout):
                raise TimeoutError(f"lock not granted within {lock_timeout:g} seconds")
            yield
        finally:
            with self._guard:
                self._line.remove(mine)
                if self._line:
                    self._line[0].set()


_guard = threading.Lock()
_lines: WeakValueDictionary[str, FairLock] = WeakValueDictionary()
"""The locks of this process by database path; unused ones are dropped."""


def open_sqlite(
    path: Path,
    *,
    read_only: bool,
    write_ahead_log: bool = False,
    lock_timeout: float = LOCK_TIMEOUT,
    prepare: Callable[[Engine, Path], None] | None = None,
) -> Engine:
    """Create an engine for one SQLite file, with foreign keys enforced.

    A read-only engine never creates the file, and works on read-only media. It opens all its
    connections at once, so they stay on the same file when a rebuild puts another one at the path.
    With a write-ahead log, readers never wait for a writer, and nothing is read or written any more
    once the file was removed or replaced; without one, the database stays a single file that can be
    renamed. ``lock_timeout`` is in seconds. ``prepare`` is called before the first connection.
    """
    if read_only:
        url = f"sqlite:///file:{path.resolve().as_posix()}?mode=ro&uri=true"
    else:
        url = f"sqlite:///{path.resolve().as_posix()}"
    engine = create_engine(
        url,
        poolclass=BoundedPool,
        pool_size=_READERS,
        max_overflow=0 if read_only else 10,
        hide_parameters=True,  # errors are logged, and parameters hold patients' texts
        execution_options={"lock_timeout": lock_timeout},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(_busy_timeout(lock_timeout))
        if write_ahead_log:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA secure_delete = ON")  # overwrite deleted content

    if write_ahead_log:
        _keep_to_one_file(engine, path.resolve())
    if prepare is not None:
        prepare(engine, path)
    if read_only:
        with ExitStack() as stack:
            for _ in range(_READERS):
                stack.enter_context(engine.connect())
    return engine


def _keep_to_one_file(engine: Engine, path: Path) -> None:
    """Raise before each use of a connection if another file, or none, is at the path by now.

    SQLite itself goes on to write to a file that was removed, where nobody finds it again.
    """
    opened: list[tuple[int, int]] = []

    def remember(*_: object) -> None:
        opened[:] = opened or [_identity(path)]

    def check(*_: object) -> None:
        if not opened:
            return
        try:
            now = _identity(path)
        except OSError as error:
            raise _failure(sqlite3.SQLITE_CANTOPEN, "database file is gone") from error
        if now != opened[0]:
            raise _failure(sqlite3.SQLITE_CANTOPEN, "database file was replaced")

    event.listen(engine, "connect", remember)
    event.listen(engine, "do_connect", check)
    event.listen(engine, "checkout", check)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


@contextmanager
def write_transaction(engine: Engine, *, lock_timeout: float | None = None) -> Iterator[Connection]:
    """Open a write transaction, which is committed when the block ends.

    SQLite lets waiting writers retry at random, so under load some would never get the lock. Here
    the writers of this process take turns, and only one of them waits for other processes. Raises
    sqlalchemy.exc.OperationalError after ``lock_timeout`` seconds, by default those of the engine.
    """
    seconds: float = (
        engine.get_execution_options()["lock_timeout"] if lock_timeout is None else lock_timeout
    )
    with (
        _turn(engine, seconds),  # before connecting, so that waiting threads hold no connection
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        connection.exec_driver_sql(_busy_timeout(seconds))
        # In autocommit mode the driver opens no transaction, so this is the only one.
        connection.exec_driver_sql(_BEGIN)
        try:
            yield connection
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            if connection.connection.in_transaction:
                connection.exec_driver_sql("ROLLBACK")
            raise


_BEGIN = "BEGIN IMMEDIATE"


def empty_log(engine: Engine, *, lock_timeout: float = LOG_TIMEOUT) -> bool:
    """Move the write-ahead log into the database and truncate it, because it keeps deleted rows.

    Returns False if others have kept it in use for ``lock_timeout`` seconds: call it again later.
    """
    log = Path(f"{engine.url.database}-wal")
    if not log.exists() or log.stat().st_size == 0:
        return True
    usual: float = engine.get_execution_options()["lock_timeout"]
    try:
        with (
            _turn(engine, lock_timeout),
            engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            connection.exec_driver_sql(_busy_timeout(lock_timeout))
            try:
                (busy, *_) = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            finally:
                connection.exec_driver_sql(_busy_timeout(usual))
    except DatabaseError:  # locked, or no space: the log stays complete
        return False
    return not busy


def writers(path: Path) -> FairLock:
    """Return the lock that the writers of this process share for one database."""
    with _guard:
        return _lines.setdefault(path.resolve().as_posix(), FairLock())


@contextmanager
def _turn(engine: Engine, seconds: float) -> Iterator[None]:
    """Take the write lock of this process; a timeout raises the same error as SQLite's own."""
    line = writers(Path(engine.url.database or ""))
    with ExitStack() as stack:
        try:
            stack.enter_context(line.turn(seconds))
        except TimeoutError as error:
            locked = _failure(sqlite3.SQLITE_BUSY, f"database is locked: {error}")
            raise OperationalError(_BEGIN, None, locked) from error
        yield


def _busy_timeout(seconds: float) -> str:
    return f"PRAGMA busy_timeout = {round(seconds * 1000)}"
