"""Copy an application database to another place, from SQLite to PostgreSQL or back.

    copied = copy_database(Path("data/app.sqlite3"), parse_location("postgresql://cxr@db/cxr"))
    copied.rows["generations"], copied.head

The copy is one transaction: every row is written, read back and compared before it is kept.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table, select

from db.app.audit_log import Head
from db.app.database import AppDatabase
from db.app.models import AppBase
from db.engines.database_file import remove
from db.engines.engine import (
    DatabaseFailure,
    continue_numbers,
    exclude_writers,
    exists,
    held,
    reason,
    snapshot,
    write_transaction,
)
from db.engines.location import Location, shown
from db.errors import NotFoundError, UserError

_PAGE, _PAGE_OF_IMAGES = 500, 8
"""Rows in memory at a time."""


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
    tables = AppBase.metadata.sorted_tables
    for table in tables:
        if writing.execute(select(table).limit(1)).first() is not None:
            raise UserError(f"{name} holds {table.name} already: name an empty database")
    rows = {}
    for table in tables:
        whole = hashlib.sha256()
        rows[table.name] = 0
        for page in _pages(reading, table, whole):
            try:
                writing.execute(table.insert(), page)
            except DatabaseFailure as error:
                raise UserError(
                    f"{name} cannot take a row of {table.name} ({reason(error)}): nothing is copied"
                ) from error
            rows[table.name] += len(page)
        again = hashlib.sha256()
        if sum(len(page) for page in _pages(writing, table, again)) != rows[table.name] or (
            again.digest() != whole.digest()
        ):
            raise UserError(f"{name} holds other {table.name} than were copied: check its disk")
        continue_numbers(writing, table)
    return rows


def _pages(
    connection: Connection, table: Table, digest: "hashlib._Hash"
) -> Iterator[Sequence[dict[str, Any]]]:
    """Yield the rows of a table by primary key, and add them to the digest.

    The character NUL counts as U+FFFD, which PostgreSQL stores for it.
    """
    has_images = any(isinstance(column.type, LargeBinary) for column in table.columns)
    page = _PAGE_OF_IMAGES if has_images else _PAGE
    found = connection.execute(
        select(table).order_by(*table.primary_key.columns).execution_options(yield_per=page)
    )
    for rows in found.mappings().partitions():
        for row in rows:
            digest.update(repr(list(row.values())).replace("\\x00", "\ufffd").encode())
        yield [dict(row) for row in rows]
