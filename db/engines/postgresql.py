"""Create PostgreSQL engines, and write through them.

Transactions are READ COMMITTED: unlike SQLite, several write at a time. Whoever must keep others
from what it has read locks the rows, and the writers of the audit chain take one advisory lock.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from db.engines.location import shown
from db.engines.pool import BoundedPool
from db.engines.sqlite import LOCK_TIMEOUT
from db.errors import UserError

_CONNECTIONS, _MORE_CONNECTIONS = 8, 10
"""Number of pooled connections, and of those that are opened under load; then threads wait for one,
as long as for a lock."""
_CONNECT_TIMEOUT = 10
"""Seconds."""
_ANSWER_TIMEOUT = 30_000
"""Milliseconds after which a connection without an answer from the other machine is given up."""
_CHAIN, SERVER, INDEX = 0x6378_7201, 0x6378_7202, 0x6378_7203
"""Advisory locks: of the writers of the audit chain and the tables, of the serving processes, and
of whoever publishes an index."""
HERE = "hashtext(current_schema())"
"""Of which services: those whose tables are in one schema of one database."""
_WITH_TEXTS = ("generations", "statements", "citations", "feedback", "job_studies", "job_images")
_PASSING = ("08", "25006", "40", "53", "55P03", "57", "58", "XX")
"""Beginnings of the SQLSTATEs that speak of the server or other transactions, and not of the
statement. Source: postgresql.org/docs/18/errcodes-appendix.html."""


def open_postgresql(url: URL, *, lock_timeout: float, pooled: bool = True) -> Engine:
    """Create an engine for one database; ``lock_timeout`` is in seconds. Nothing is connected yet.

    Messages of its errors quote no values of rows.
    """
    pool: dict[str, Any] = {
        "poolclass": BoundedPool,
        "pool_size": _CONNECTIONS,
        "max_overflow": _MORE_CONNECTIONS,
        "pool_timeout": lock_timeout,
        "pool_pre_ping": True,
    }
    engine = create_engine(
        url,
        **(pool if pooled else {"poolclass": NullPool}),
        hide_parameters=True,  # errors are logged, and parameters hold patients' texts
        connect_args={
            "application_name": "grounded-cxr",
            "connect_timeout": _CONNECT_TIMEOUT,
            "tcp_user_timeout": _ANSWER_TIMEOUT,
            "prepare_threshold": None,  # plans depend on how many cases a search leaves out
            "options": f"{url.query.get('options', '')} {_timeout(lock_timeout)}".strip(),
        },
        execution_options={"lock_timeout": lock_timeout},
    )
    event.listen(engine, "handle_error", _leave_out_values)
    event.listen(engine, "connect", _replace_nul)
    return engine


def _timeout(seconds: float) -> str:
    return f"-c lock_timeout={max(round(seconds * 1000), 1)}"  # 0 would wait for ever


def _leave_out_values(context: ExceptionContext) -> None:
    """Cut the details from a message: they quote rows."""
    error, wrapped = context.original_exception, context.sqlalchemy_exception
    if getattr(error, "diag", None) is None:
        return
    whole, short = str(error), str(error).split("\nDETAIL:")[0]
    error.args = (short, *error.args[1:])
    if wrapped is not None:
        wrapped.args = tuple(str(part).replace(whole, short) for part in wrapped.args)


def _replace_nul(connection: Any, _record: object) -> None:
    """Store the character NUL, which PostgreSQL has no place for in a text, as U+FFFD."""
    from psycopg.types.string import StrDumper, StrDumperUnknown

    class Dumper(StrDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd"))

    class UnknownDumper(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd"))

    connection.adapters.register_dumper(str, Dumper)
    connection.adapters.register_dumper(str, UnknownDumper)


@contextmanager
def write_transaction(engine: Engine, *, lock_timeout: float | None = None) -> Iterator[Connection]:
    """Open a transaction, which is committed when the block ends.

    Raises sqlalchemy.exc.OperationalError if a lock is not granted within ``lock_timeout`` seconds,
    by default those of the engine.
    """
    with engine.begin() as connection:
        if lock_timeout is not None:
            connection.exec_driver_sql(f"SET LOCAL {_timeout(lock_timeout).removeprefix('-c ')}")
        yield connection


def exclude_writers(connection: Connection, lock: int = _CHAIN) -> None:
    """Wait for other transactions that have called this, and keep them out until the end."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock}, {HERE})")


def continue_numbers(connection: Connection, table: str, column: str) -> None:
    """Let the sequence of a column go on after its highest number."""
    connection.exec_driver_sql(
        f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table} "
        f"HAVING max({column}) IS NOT NULL"
    )


def check_writable(engine: Engine, *, lock_timeout: float | None = None) -> None:
    """Write something, to no effect. Raises sqlalchemy.exc.DatabaseError if that fails."""
    with write_transaction(engine, lock_timeout=lock_timeout) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")


def overwrite_free_pages(engine: Engine) -> bool:
    """Write the tables with texts anew, without what changed or deleted rows have left; return
    False if others keep one in use, or may still read old rows, for longer than the lock timeout.

    What another role of the server reads is seen by a superuser or a member of pg_read_all_stats
    alone.
    """
    autocommit = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with autocommit as connection:
        try:
            if not _no_older_reader(connection, engine.get_execution_options()["lock_timeout"]):
                return False
            connection.exec_driver_sql(f"VACUUM FULL {', '.join(_WITH_TEXTS)}")
        except DatabaseError as error:
            if why_unusable(error) is None:
                raise
            return False
    return True


def _no_older_reader(connection: Connection, seconds: float) -> bool:
    """Wait until each transaction in the database sees all that is committed now, since a vacuum
    keeps every row that one of them may see; return False if that takes longer than ``seconds``."""
    latest = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
    committed: str = connection.exec_driver_sql(latest).scalar_one()
    older = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() "
        f"AND greatest(age(backend_xmin), age(backend_xid)) > age('{committed}'::xid8::xid)"
    )
    deadline = time.monotonic() + seconds
    while connection.exec_driver_sql(older).scalar_one():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def prepared(url: URL, *, lock_timeout: float) -> Iterator[Engine]:
    """Open a database for the block that lays out its tables. Raises UserError if it cannot be
    used."""
    engine = open_postgresql(url, lock_timeout=lock_timeout)
    try:
        with named_errors(url):
            yield engine
    except BaseException:
        engine.dispose()
        raise


def has_tables(url: URL) -> bool:
    """Return whether it has those of an application database. Raises UserError if that cannot be
    asked."""
    engine = open_postgresql(url, lock_timeout=LOCK_TIMEOUT, pooled=False)
    with named_errors(url), engine.connect() as connection:
        return inspect(connection).has_table("generations")


@contextmanager
def held(url: URL) -> Iterator[None]:
    """Keep out serving processes while the block runs and its connection lasts.

    Raises UserError if there is one, or if the server cannot be reached.
    """
    engine = open_postgresql(url, lock_timeout=LOCK_TIMEOUT, pooled=False)
    with named_errors(url):
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        if not connection.exec_driver_sql(
            f"SELECT pg_try_advisory_lock({SERVER}, {HERE})"
        ).scalar_one():
            raise UserError(
                f"{shown(url)} is in use by a running server: stop it, or name another with "
                "--database"
            )
        yield
    finally:
        connection.invalidate()  # which closes it, also where the server has gone away


@contextmanager
def named_errors(url: URL) -> Iterator[None]:
    """Raise UserError, in one sentence, where the block cannot use the database."""
    try:
        yield
    except DatabaseError as error:
        raise UserError(
            f"{shown(url)} cannot be used as the application database ({reason(error)}): check the "
            "server and your rights there, or name another database with --database"
        ) from error


def why_unusable(error: DatabaseError) -> str | None:
    """Return in a few words why the database cannot be used at present; None if it can, or if the
    error is of another engine."""
    original: Any = error.orig
    if not hasattr(original, "sqlstate"):
        return None
    state: str | None = original.sqlstate
    if state is None:  # the connection failed, or broke
        lost = type(original).__name__ in ("OperationalError", "ConnectionTimeout")
        return "database server cannot be reached" if lost else None
    if state == "55P03":
        return "database is locked: lock not granted in time"
    return reason(error) if state.startswith(_PASSING) else None


def reason(error: DatabaseError) -> str:
    """Return the one line of an error that says what is wrong, without the address of the server.

    A failed connection is reported with every address that was tried.
    """
    lines = str(error.orig).splitlines() or [type(error.orig).__name__]
    said = [re.split(r"FATAL:\s+|failed: ", line)[-1] for line in lines]
    fatal = [one for one, line in zip(said, lines, strict=True) if "FATAL" in line]
    return (fatal or said)[0].strip().rstrip(".")
