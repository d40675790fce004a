"""The file of a SQLite application database: who may read it, who serves it, what it holds."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from db.engines.sqlite import open_sqlite, write_transaction
from db.errors import NotFoundError, UnavailableError, UserError
from db.files import create_private, unwritable, withdraw_from_others

LEAST_FREE_BYTES = 16 * 1024 * 1024
"""Room for the images of one accepted study."""
LOG_SUFFIXES = ("-wal", "-shm")
"""Of the files that SQLite keeps beside an open database, with its rights."""


@contextmanager
def prepared(path: Path, *, lock_timeout: float) -> Iterator[Engine]:
    """Create the file if it is missing, and open it for the block that lays out its tables.

    After the block only its owner can read it. Raises UserError for any other file, or a path that
    cannot be written.
    """
    path = path.resolve()
    try:
        create_private(path)
        yield open_sqlite(path, read_only=False, write_ahead_log=True, lock_timeout=lock_timeout)
        for suffix in ("", *LOG_SUFFIXES):
            withdraw_from_others(path.with_name(path.name + suffix))
    except (DatabaseError, OSError) as error:
        reason = getattr(error, "orig", None) or error
        raise UserError(
            f"{path} cannot be used as the application database ({reason}): "
            "name another file with --database"
        ) from error


def require_application(path: Path) -> None:
    """Raise UserError for another kind of file, and NotFoundError for none, without writing:
    opening a foreign database as ours would change it."""
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist: name the application database")
    address = f"file:{path.resolve().as_posix()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            found = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'generations'"
            ).fetchone()
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path} cannot be read ({error}): name another file with --db") from error
    if found is None:
        raise UserError(f"{path} is not an application database: name another file with --db")


def check_writable(engine: Engine, *, lock_timeout: float | None = None) -> None:
    """Write something. Raises sqlalchemy.exc.DatabaseError if nothing can be stored at present, and
    UnavailableError if the disk has no room for more."""
    with write_transaction(engine, lock_timeout=lock_timeout) as connection:
        connection.exec_driver_sql("PRAGMA user_version = 0")  # writes a page, to no effect
    folder = Path(str(engine.url.database)).parent
    if shutil.disk_usage(folder).free < LEAST_FREE_BYTES:
        raise UnavailableError("the disk is full", retry_after=60)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Lock the file for one server while the block runs.

    Raises UserError if another process holds the lock, or the folder cannot be written.
    """
    path = path.resolve()  # one lock, whatever link leads to the database
    lock = FileLock(path.with_name(f"{path.name}.lock"), timeout=0, is_singleton=False)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"{path} is in use by a running server: stop it, name another with --database, or keep "
            "it in PostgreSQL, which several servers can use at once"
        ) from error
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield
    finally:
        lock.release()


def remove(path: Path) -> None:
    """Remove a database that nobody uses, with the files beside it."""
    for suffix in ("", *LOG_SUFFIXES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def overwrite_free_pages(engine: Engine) -> bool:
    """Overwrite free pages; return False if another process has old pages in use."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM")
        (busy, *_) = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    return not busy
