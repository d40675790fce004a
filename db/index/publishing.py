"""Write a version of an index into PostgreSQL with pgvector, in one transaction.

    with publishing(url, keep=2) as draft:
        draft.begin(version=3, fingerprint=fingerprint)
        draft.add_cases(cases)
        draft.add_vectors(blocks, 384, hnsw=True)
        draft.commit_as(manifest_text, version=3, fingerprint=fingerprint)

Each version is a schema of its own; `db.index.published` reads it. Vectors are stored in float32;
HNSW works on them in float16.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import URL, Connection

from db.engines.location import shown
from db.engines.postgresql import INDEX, exclude_writers, open_postgresql
from db.engines.sqlite import LOCK_TIMEOUT
from db.errors import UserError
from db.index.published import named_errors
from db.index.store import CaseStore
from db.index.vector_rows import VectorRows

EXTENSION = "vector"
"""The name of pgvector in PostgreSQL."""
_CHUNK = 16 * 1024 * 1024
"""Bytes of a file in one row."""
_ROOM = 8000
"""Bytes of a row that fit a page."""
_VERSIONS = (
    "CREATE TABLE IF NOT EXISTS index_versions (version integer PRIMARY KEY, fingerprint text NOT "
    "NULL, schema text NOT NULL, dim integer NOT NULL, hnsw boolean NOT NULL, manifest text NOT "
    "NULL, published_at timestamptz NOT NULL DEFAULT now())"
)


@contextmanager
def publishing(url: URL, *, keep: int) -> Iterator["Draft"]:
    """Open a transaction in which a new version is written; it becomes current when the block ends.

    At most ``keep`` versions stay. Raises UserError if the database cannot be used, or lacks
    pgvector.
    """
    engine = open_postgresql(url, lock_timeout=LOCK_TIMEOUT, pooled=False)
    with named_errors(url), engine.begin() as connection:
        exclude_writers(connection, INDEX)
        if not connection.exec_driver_sql(
            "SELECT 1 FROM pg_available_extensions WHERE name = %s", (EXTENSION,)
        ).first():
            raise UserError(
                f"{shown(url)} lacks pgvector: install the extension '{EXTENSION}' on its server"
            )
        connection.exec_driver_sql(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}")
        connection.exec_driver_sql(_VERSIONS)
        yield Draft(connection, shown(url))
        old = connection.exec_driver_sql(
            "DELETE FROM index_versions WHERE version NOT IN "
            "(SELECT version FROM index_versions ORDER BY version DESC LIMIT %s) RETURNING schema",
            (max(keep, 1),),
        ).scalars()
        for schema in old:
            connection.exec_driver_sql(f'DROP SCHEMA "{schema}" CASCADE')


class Draft:
    """A version that is being written."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._home = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
        self._schema = ""
        self._dim = 0
        self._hnsw = False

    def current(self) -> tuple[int, str] | None:
        """Return number and fingerprint of the version that is current until now."""
        row = self._connection.exec_driver_sql(
            "SELECT version, fingerprint FROM index_versions ORDER BY version DESC LIMIT 1"
        ).first()
        return None if row is None else (row.version, row.fingerprint)

    def begin(self, version: int, fingerprint: str) -> None:
        """Create the tables of a version."""
        self._schema = f"{self._home}_v{version}_{fingerprint[:12]}"
        run = self._connection.exec_driver_sql
        run(f'CREATE SCHEMA "{self._schema}"')
        run(f'SET LOCAL search_path TO "{self._schema}", "{self._home}", public')
        run("CREATE TABLE files (name text, part integer, content bytea, PRIMARY KEY (name, part))")

    def add_file(self, path: Path) -> None:
        with path.open("rb") as stream:
            for part, content in enumerate(iter(lambda: stream.read(_CHUNK), b"")):
                self._connection.exec_driver_sql(
                    "INSERT INTO files VALUES (%s, %s, %s)", (path.name, part, content)
                )

    def add_cases(self, cases: CaseStore) -> None:
        cases.copy_to(self._connection, name=self._name)

    def add_vectors(
        self, blocks: Iterable[tuple[np.ndarray, np.ndarray]], dim: int, *, hnsw: bool
    ) -> None:
        """Add ids (n,) and their unit vectors (n, dim) float32, and build HNSW if wanted."""
        run = self._connection.exec_driver_sql
        run(f"CREATE TABLE vectors (case_id bigint PRIMARY KEY, embedding vector({dim}) NOT NULL)")
        if 4 * dim < _ROOM:  # beside its row, as a page has room for it: a scan reads all of them
            run("ALTER TABLE vectors ALTER COLUMN embedding SET STORAGE PLAIN")
        self._copy("vectors", blocks, dim, ">f4")
        self._dim, self._hnsw = dim, hnsw
        if hnsw:
            run(
                f"CREATE INDEX vectors_hnsw ON vectors USING hnsw "
                f"((embedding::halfvec({dim})) halfvec_ip_ops)"
            )
        run("ANALYZE vectors")

    def vectors(self) -> VectorRows:
        """Those that were added."""
        return VectorRows(self._connection, self._dim)

    def add_image_vectors(self, blocks: Iterable[np.ndarray], dim: int) -> None:
        """Add the vectors of images, (n, dim) float16, in their order."""
        run = self._connection.exec_driver_sql
        run(f"CREATE TABLE image_vectors (place bigint PRIMARY KEY, embedding halfvec({dim}))")

        def numbered() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            first = 0
            for block in blocks:
                yield np.arange(first, first + len(block)), block
                first += len(block)

        self._copy("image_vectors", numbered(), dim, ">f2")

    def commit_as(self, manifest: str, *, version: int, fingerprint: str) -> None:
        """Make this the current version once the transaction ends."""
        self._connection.exec_driver_sql(
            "INSERT INTO index_versions (version, fingerprint, schema, dim, hnsw, manifest) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            (version, fingerprint, self._schema, self._dim, self._hnsw, manifest),
        )

    def _copy(
        self, table: str, blocks: Iterable[tuple[np.ndarray, np.ndarray]], dim: int, number: str
    ) -> None:
        """Send rows in the binary format of COPY, where a vector is its dimension as int16, two
        zero bytes, and its numbers. Source: postgresql.org/docs/18/sql-copy.html."""
        size = np.dtype(number).itemsize
        row = np.dtype(
            [
                *(("fields", ">i2"), ("id_bytes", ">i4"), ("id", ">i8")),
                *(("vector_bytes", ">i4"), ("dim", ">i2"), ("unused", ">i2")),
                ("vector", number, (dim,)),
            ]
        )
        driver: Any = self._connection.connection.driver_connection
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as to,
        ):
            to.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for ids, vectors in blocks:
                rows = np.zeros(len(ids), row)
                rows["fields"], rows["id_bytes"], rows["id"] = 2, 8, ids
                rows["vector_bytes"], rows["dim"], rows["vector"] = 4 + size * dim, dim, vectors
                to.write(rows.tobytes())
            to.write(b"\xff\xff")
