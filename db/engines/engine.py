"""Open an application database wherever it is, and write to it, on either engine.

    with prepared(parse_location("postgresql+psycopg://cxr@db.example/cxr")) as engine:
        migrate(engine)
    with writing(engine) as session:
        session.add(row)

What differs between SQLite and PostgreSQL is behind these functions.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import GenericFunction

from db.engines import database_file, postgresql, sqlite
from db.engines.location import Location, shown
from db.engines.sqlite import LOCK_TIMEOUT
from db.errors import NotFoundError

DatabaseFailure = DatabaseError
"""What stores raise if the disk is full, or the database is locked, damaged or out of reach."""


def open_engine(location: Location, *, lock_timeout: float = LOCK_TIMEOUT) -> Engine:
    """Create an engine for an application database, to read and write it.

    ``lock_timeout`` (seconds) is how long a writer waits for others.
    """
    if isinstance(location, Path):
        return sqlite.open_sqlite(
            location, read_only=False, write_ahead_log=True, lock_timeout=lock_timeout
        )
    return postgresql.open_postgresql(location, lock_timeout=lock_timeout)


def prepared(
    location: Location, *, lock_timeout: float = LOCK_TIMEOUT
) -> AbstractContextManager[Engine]:
    """Open a database for the block that lays out its tables; the engine stays open after it.

    ``lock_timeout`` (seconds) is how long a writer waits for others. Raises UserError if the
    database cannot be used.
    """
    if isinstance(location, Path):
        return database_file.prepared(location, lock_timeout=lock_timeout)
    return postgresql.prepared(location, lock_timeout=lock_timeout)


def held(location: Location) -> AbstractContextManager[None]:
    """Have an application database to oneself while the block runs: no process serves it.

    Raises UserError if one does, or if the database cannot be used.
    """
    if isinstance(location, Path):
        return database_file.held(location)
    return postgresql.held(location)


def exists(location: Location) -> bool:
    """Return whether there is a database: a file of any kind, or the tables of a service."""
    return location.is_file() if isinstance(location, Path) else postgresql.has_tables(location)


def require_application(location: Location) -> None:
    """Raise NotFoundError or UserError if there is no application database, without writing."""
    if isinstance(location, Path):
        database_file.require_application(location)
    elif not postgresql.has_tables(location):
        raise NotFoundError(f"{shown(location)} is not an application database: name another")


@contextmanager
def write_transaction(engine: Engine, *, lock_timeout: float | None = None) -> Iterator[Connection]:
    """Open a write transaction, which is committed when the block ends.

    Raises sqlalchemy.exc.OperationalError after ``lock_timeout`` seconds, by default those of the
    engine.
    """
    kind = postgresql if _is_postgresql(engine) else sqlite
    with kind.write_transaction(engine, lock_timeout=lock_timeout) as connection:
        yield connection


@contextmanager
def writing(engine: Engine, *, lock_timeout: float | None = None) -> Iterator[Session]:
    """Open a session in a `write_transaction`.

    Changes are stored completely or not at all, and are on disk when the block ends. In SQLite no
    other writer can change what the session has read until then; PostgreSQL keeps others only from
    rows that were read with `Select.with_for_update`, and from `exclude_writers`.
    """
    with (
        write_transaction(engine, lock_timeout=lock_timeout) as connection,
        Session(bind=connection) as session,
    ):
        yield session
        session.flush()


@contextmanager
def erasing(engine: Engine) -> Iterator[Session]:
    """Open a session as `writing` does, and `empty_log` after it."""
    with writing(engine) as session:
        yield session
    empty_log(engine)


def exclude_writers(connection: Connection) -> None:
    """Within a `write_transaction`, wait for others that have called this, and keep them out until
    it ends."""
    if connection.dialect.name == "postgresql":
        postgresql.exclude_writers(connection)  # in SQLite, the transaction does it


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Open a connection on which every statement reads the same state of the database."""
    if _is_postgresql(engine):
        repeatable = engine.execution_options(isolation_level="REPEATABLE READ")
        with repeatable.connect() as connection:
            yield connection
    else:
        with sqlite.write_transaction(engine) as connection:  # others read on, and write later
            yield connection


def continue_numbers(connection: Connection, table: Table) -> None:
    """Let new rows of a table have higher numbers than those that were written with numbers."""
    if connection.dialect.name == "postgresql":
        (column,) = table.primary_key.columns
        postgresql.continue_numbers(connection, table.name, column.name)


def empty_log(engine: Engine) -> bool:
    """Empty SQLite's write-ahead log, which keeps deleted rows.

    Returns False if others have it in use: call it again later. PostgreSQL keeps deleted rows until
    its vacuum, and its log as long as its administrator wants.
    """
    return _is_postgresql(engine) or sqlite.empty_log(engine)


def check_writable(engine: Engine, *, lock_timeout: float | None = None) -> None:
    """Write something. Raises sqlalchemy.exc.DatabaseError if nothing can be stored at present, and
    UnavailableError if a disk of this machine has no room for more."""
    place = postgresql if _is_postgresql(engine) else database_file
    place.check_writable(engine, lock_timeout=lock_timeout)


def overwrite_free_pages(engine: Engine) -> bool:
    """Overwrite what deleted or changed rows have left in the database; return False if another
    process keeps it in use."""
    if _is_postgresql(engine):
        return postgresql.overwrite_free_pages(engine)
    return database_file.overwrite_free_pages(engine)


def reason(error: DatabaseFailure) -> str:
    """Return in one line what is wrong, without the address of a server."""
    return postgresql.reason(error) if hasattr(error.orig, "sqlstate") else str(error.orig)


def why_unusable(error: DatabaseFailure) -> str | None:
    """Return in a few words why the database cannot be used at present.

    None if the database is well and the statement at fault, which is a bug.
    """
    return sqlite.why_unusable(error) or postgresql.why_unusable(error)


class JsonStrings(GenericFunction[str]):
    """The strings in a JSON list of a column: ``JsonStrings(column).table_valued("value")``."""

    name = "json_each"
    inherit_cache = True


@compiles(JsonStrings, "postgresql")
def _json_strings(function: JsonStrings, compiler: Any, **options: Any) -> str:
    return f"json_array_elements_text({compiler.process(function.clauses, **options)})"


def _is_postgresql(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"
