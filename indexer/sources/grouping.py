"""Group rows of several tables by a key, in a temporary file instead of memory.

groups = Groups({"image": rows_of_images(), "label": rows_of_labels()})
for study, tables in groups:           # by ascending key, always in the same order
    tables["image"], tables.get("label", [])
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from db.errors import UserError

Rows = Iterable[tuple[str, Mapping[str, Any]]]
"""Key and row; a row is any JSON object."""


class Groups:
    """Rows by key, each table in its own order. SQLite deletes the temporary file."""

    def __init__(self, tables: Mapping[str, Rows]) -> None:
        """Read all rows. Raises UserError if the temporary folder is full."""
        self._file = sqlite3.connect("", check_same_thread=False)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("CREATE TABLE given (key TEXT, name TEXT, row TEXT)")
        try:
            for name, rows in tables.items():
                self._file.executemany(
                    "INSERT INTO given VALUES (?, ?, ?)",
                    ((key, name, json.dumps(row, default=str)) for key, row in rows),
                )
            self._file.execute(
                "CREATE TABLE rows AS SELECT key, name, row FROM given ORDER BY key, name, rowid"
            )
            self._file.execute("DROP TABLE given")
        except sqlite3.OperationalError as error:
            raise UserError(
                f"cannot write to the temporary folder ({error}): set TMPDIR to one with more space"
            ) from error

    def __iter__(self) -> Iterator[tuple[str, dict[str, list[dict[str, Any]]]]]:
        rows = self._file.execute("SELECT key, name, row FROM rows ORDER BY rowid")
        for key, group in groupby(rows, key=lambda row: str(row[0])):
            tables: dict[str, list[dict[str, Any]]] = {}
            for _, name, row in group:
                tables.setdefault(name, []).append(json.loads(row))
            yield key, tables
