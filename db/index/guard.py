"""Read the database of an index as a file that a stranger may have made.

    engine = open_sqlite(path, read_only=True, prepare=guard)
    check_tables(engine, path)

What SQLite says of a damaged file is raised as one sentence. The tables must be tables, because a
view can compute without end; a query that takes more steps than the file can need is stopped.
Source: sqlite.org/security.html.
"""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, event

from db.errors import UserError
from db.index.models import OPTIONAL, IndexBase

_EVERY = 100_000
"""Steps of SQLite's virtual machine between two looks at the budget."""
LEAST_STEPS = 20_000_000
"""About a second, which the smallest index may use for one query."""
STEPS_PER_BYTE = 100
"""A row has tens of bytes; a scan takes tens of steps for each, a sort some more."""


class _Budget:
    """The steps left to the statement that runs on one connection."""

    def __init__(self, steps: int) -> None:
        self._steps = self._left = steps

    def renew(self) -> None:
        self._left = self._steps

    def spend(self) -> bool:
        """Return whether the statement must stop."""
        self._left -= _EVERY
        return self._left < 0


def guard(engine: Engine, path: Path) -> None:
    """Bound the work of each statement, and raise UserError where SQLite cannot read the file."""
    size = path.stat().st_size if path.exists() else 0

    @event.listens_for(engine, "connect")
    def _limit(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        record.info["budget"] = budget = _Budget(LEAST_STEPS + STEPS_PER_BYTE * size)
        connection.set_progress_handler(budget.spend, _EVERY)

    @event.listens_for(engine, "before_cursor_execute")
    def _renew(connection: Connection, *_: Any) -> None:
        connection.info["budget"].renew()

    @event.listens_for(engine, "handle_error")
    def _in_one_sentence(context: ExceptionContext) -> None:
        error = context.original_exception
        if isinstance(error, sqlite3.DatabaseError):
            endless = str(error) == "interrupted"
            raise _unreadable(path, "a query of it does not end" if endless else error) from error


def check_tables(engine: Engine, path: Path) -> None:
    """Raise UserError unless all tables of an index are there, and nothing that computes."""
    with engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master").all()
        kinds = {name: kind for kind, name, _ in stored if kind != "index"}
        for kind, name, sql in stored:
            if kind in ("view", "trigger"):
                raise _unreadable(path, f"it has the {kind} '{name}'")
            if kind == "table" and str(sql).upper().startswith("CREATE VIRTUAL"):
                raise _unreadable(path, f"'{name}' is a virtual table")
        for table in IndexBase.metadata.tables:
            if table not in kinds and table in OPTIONAL:
                continue
            if table not in kinds:
                raise _unreadable(path, f"it has no table '{table}'")
            columns = connection.exec_driver_sql(f"PRAGMA table_xinfo({table})").all()
            if any(hidden for *_, hidden in columns):
                raise _unreadable(path, f"table '{table}' has computed columns")


def _unreadable(path: Path, reason: object) -> UserError:
    return UserError(f"{path} is not the database of an index ({reason}): build the index again")
