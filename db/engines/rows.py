"""Copy the rows of tables from one database to another, of either engine.

rows = copy_tables(reading, writing, AppBase.metadata.sorted_tables, name="app.sqlite3")
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table, select

from db.engines.engine import DatabaseFailure, continue_numbers, reason
from db.errors import UserError

_PAGE, _PAGE_OF_IMAGES = 500, 8
"""Rows in memory at a time."""


def copy_tables(
    reading: Connection, writing: Connection, tables: Iterable[Table], *, name: str
) -> dict[str, int]:
    """Copy tables, the referenced ones first, and return the number of rows of each.

    Every row is read back and compared. Raises UserError, which calls the target ``name``, if its
    engine refuses a row or keeps another one: roll back then.
    """
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
