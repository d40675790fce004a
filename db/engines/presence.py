"""Which processes work on an application database at the same time.

    with serving(location) as presence:
        presence.name                       # what this process is called in the rows it works on
        presence.renew()                    # every second or so
    gone(connection, ["8f0c...", ...])      # which of these processes have ended

A SQLite file has one process, which holds the lock of `db.engines.database_file`. In PostgreSQL
each of several holds an advisory lock of its own for as long as its connection lasts, so its end
shows at once, and that of its host after `_SILENT_SECONDS`.

Nothing relies on it that a process is alive: what it stores, it stores only while the rows still
carry its name.
"""

import logging
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DatabaseError

from db.engines import database_file
from db.engines.location import Location, shown
from db.engines.postgresql import HERE, SERVER, named_errors, open_postgresql
from db.engines.sqlite import LOCK_TIMEOUT
from db.errors import UnavailableError, UserError

logger = logging.getLogger(__name__)

_SCHEMA, _PROCESS = 0x6378_7204, 0x6378_7205
"""Advisory locks: of the processes that use the tables as they are, and of each process."""
_USE_TABLES = f"SELECT pg_advisory_lock_shared({_SCHEMA}, {HERE})"
_MINE = "hashtext(current_schema() || %(name)s)"
_SILENT_SECONDS = 20
"""After which a host that does not answer has gone."""
_KEEPALIVE = {"tcp_keepalives_idle": 5, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}


class Presence:
    """A process that has a database to itself."""

    is_shared = False
    """Whether other processes may work on the database."""

    def __init__(self) -> None:
        self.name = uuid4().hex

    def use_tables(self) -> None:
        """Let no other process change the tables as long as this one runs."""

    def renew(self) -> None:
        """Make sure that other processes see this one."""

    def check(self) -> None:
        """Raise UnavailableError while other processes cannot see this one."""


class SharedPresence(Presence):
    """One of several processes that work on a PostgreSQL database."""

    is_shared = True

    def __init__(self, url: URL) -> None:
        """Raises UserError if the database cannot be used, or a program has it to itself."""
        super().__init__()
        self._url = url
        silent = " ".join(f"-c {name}={value}" for name, value in _KEEPALIVE.items())
        asked = f"{url.query.get('options', '')} {silent}".strip()
        self._engine: Engine = open_postgresql(
            url.update_query_dict({"options": asked}), lock_timeout=LOCK_TIMEOUT, pooled=False
        )
        self._guard = threading.Lock()
        self._connection: Connection | None = None
        self._uses_tables = False
        with named_errors(url):
            self._connection = self._locked()

    def use_tables(self) -> None:
        with self._guard, named_errors(self._url):
            if self._connection is None:
                self._connection = self._locked()
            if not self._uses_tables:
                self._connection.exec_driver_sql(_USE_TABLES)
                self._uses_tables = True

    def renew(self) -> None:
        """Take the locks again if the connection was lost. Raises sqlalchemy.exc.DatabaseError, or
        UserError, if that is not possible at present."""
        with self._guard:
            if self._connection is not None:
                try:
                    self._connection.exec_driver_sql("SELECT 1")
                    return
                except DatabaseError:
                    self._leave()
            self._connection = self._locked()
            logger.info("other processes see this one again")

    def check(self) -> None:
        if self._connection is None:
            raise UnavailableError(
                "the connection to the database by which other processes see this one is lost",
                retry_after=5,
            )

    def close(self) -> None:
        with self._guard:
            self._leave()

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(DatabaseError):
                connection.invalidate()  # which closes it, also where the server has gone away

    def _locked(self) -> Connection:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            shared = f"SELECT pg_try_advisory_lock_shared({SERVER}, {HERE})"
            if not connection.exec_driver_sql(shared).scalar_one():
                raise UserError(
                    f"{shown(self._url)} is being copied or restored: wait until that has ended"
                )
            if self._uses_tables:
                connection.exec_driver_sql(_USE_TABLES)
            mine = f"SELECT pg_advisory_lock({_PROCESS}, {_MINE})"
            connection.exec_driver_sql(mine, {"name": self.name})
        except BaseException:
            connection.invalidate()
            raise
        return connection


@contextmanager
def serving(location: Location) -> Iterator[Presence]:
    """Be one of the processes that serve a database while the block runs; SQLite has one only.

    Raises UserError if another process serves a SQLite file, if a program has a PostgreSQL
    database to itself, or if the database cannot be used.
    """
    if isinstance(location, Path):
        with database_file.held(location):
            yield Presence()
    else:
        presence = SharedPresence(location)
        try:
            yield presence
        finally:
            presence.close()


def gone(connection: Connection, names: Collection[str]) -> set[str]:
    """Return which of other processes have ended, and let none of these come back before the
    transaction ends.

    SQLite has one process at a time, so all others have.
    """
    if connection.dialect.name != "postgresql":
        return set(names)
    free = f"SELECT pg_try_advisory_xact_lock({_PROCESS}, {_MINE})"
    return {one for one in names if connection.exec_driver_sql(free, {"name": one}).scalar_one()}


def keep_from_changes(connection: Connection) -> bool:
    """Let no process begin to serve the tables until the transaction ends; return False if one does
    already.

    In SQLite, the only process changes them itself.
    """
    if connection.dialect.name != "postgresql":
        return True
    alone = f"SELECT pg_try_advisory_xact_lock({_SCHEMA}, {HERE})"
    found: bool = connection.exec_driver_sql(alone).scalar_one()
    return found
