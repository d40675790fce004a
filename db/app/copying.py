"""Copy an application database to another place, from SQLite to PostgreSQL or back.

    copied = copy_database(Path("data/app.sqlite3"), parse_location("postgresql://cxr@db/cxr"))
    copied.rows["generations"], copied.head

The copy is one transaction: every row is written, read back and compared before it is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from db.app.audit_log import Head
from db.app.database import AppDatabase
from db.app.models import AppBase, RequestCountRow
from db.engines.database_file import remove
from db.engines.engine import (
    exclude_writers,
    exists,
    held,
    snapshot,
    write_transaction,
)
from db.engines.location import Location, shown
from db.engines.rows import copy_tables
from db.errors import NotFoundError, UserError


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What a copy holds."""

    rows: Mapping[str, int]
    """By table."""
    head: Head
    """Of the audit log."""


def copy_database(source: Location, target: Location) -> Copied:
    """Copy everything into a database that is missing or empty; no server may use either.

    Raises NotFoundError if there is no source, and UserError, with nothing copied, if the target
    holds anything, if its engine refuses a row, or if the audit log of the source was changed.
    """
    if not exists(source):
        raise NotFoundError(f"{shown(source)} does not exist: name the application database")
    is_new = not exists(target)
    with held(source), held(target), AppDatabase.open(source) as one:
        head = one.audit.verify()
        try:
            with AppDatabase.open(target) as other:
                with snapshot(one.engine) as reading, write_transaction(other.engine) as writing:
                    rows = _copy_rows(reading, writing, shown(target))
                return Copied(rows=rows, head=other.audit.verify(head))
        except BaseException:
            if is_new and isinstance(target, Path):
                remove(target)
            raise


def _copy_rows(reading: Connection, writing: Connection, name: str) -> dict[str, int]:
    exclude_writers(writing)
    counts = RequestCountRow.__table__  # of one minute, which is over
    tables = [table for table in AppBase.metadata.sorted_tables if table is not counts]
    for table in tables:
        if writing.execute(select(table).limit(1)).first() is not None:
            raise UserError(f"{name} holds {table.name} already: name an empty database")
    return copy_tables(reading, writing, tables, name=name)
