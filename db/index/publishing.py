"""Write a version of an index into PostgreSQL with pgvector, in one transaction.

    with publishing(url, keep=2) as draft:
        draft.begin(version=3, fingerprint=fingerprint)
        draft.add_cases(cases)
        draft.add_vectors(blocks, states, 384)
        draft.build_hnsw()
        draft.commit_as(manifest_text, version=3, fingerprint=fingerprint)

Each version is a schema of its own; `db.index.published` reads it. Vectors are stored in float32;
HNSW works on them in float16. The packed states of each case (`db.index.selection`) are beside its
vector, so that filters on labels need no join.
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
from db.index.published import LAYOUT, named_errors, newer_release
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
    "NULL, schema text NOT NULL, dim integer NOT NULL, layout integer NOT NULL, manifest text NOT "
    "NULL, published_at timestamptz NOT NULL DEFAULT now())"
)
_HNSW_BYTES = 2.5
"""Memory to build HNSW, per byte of its float16 vectors: the graph is built in memory or not in
reasonable time."""
_MOST_HNSW_MEMORY = 4096
"""Megabytes; a server that cannot give so much is set up for it by its administrator."""


@contextmanager
def publishing(url: URL, *, keep: int) -> Iterator["Draft"]:
    """Open a transaction in which a new version is written; it becomes current when the block ends.

    At most ``keep`` versions stay. Raises UserError if the database cannot be used, or lacks
    pgvector.
    """
    engine = open_postgresql(url, lock_timeout=LOCK_TIMEOUT, pooled=False)
    with named_errors(url), engine.begin() as connection:
        exclude_writers(connection, INDEX)
        _require_pgvector(connection, shown(url))
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


def check_server(url: URL) -> None:
    """Raise UserError if the database cannot be used, or lacks pgvector; change nothing."""
    engine = open_postgresql(url, lock_timeout=LOCK_TIMEOUT, pooled=False)
    with named_errors(url), engine.connect() as connection:
        _require_pgvector(connection, shown(url))


def _require_pgvector(connection: Connection, name: str) -> None:
    if not connection.exec_driver_sql(
        "SELECT 1 FROM pg_available_extensions WHERE name = %s", (EXTENSION,)
    ).first():
        raise UserError(f"{name} lacks pgvector: install the extension '{EXTENSION}' on its server")


class Draft:
    """A version that is being written."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._home = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
        self._schema = ""
        self._dim = self._count = 0

    def current(self) -> tuple[int, str, str] | None:
        """Return number, fingerprint and manifest of the version that is current until now.

        Raises MismatchError if a newer release of the program published it.
        """
        row = self._connection.exec_driver_sql(
            "SELECT version, fingerprint, layout, manifest FROM index_versions "
            "ORDER BY version DESC LIMIT 1"
        ).first()
        if row is None:
            return None
        if row.layout > LAYOUT:
            raise newer_release(self._name)
        return row.version, row.fingerprint, row.manifest

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
        self, blocks: Iterable[tuple[np.ndarray, np.ndarray]], states: np.ndarray, dim: int
    ) -> None:
        """Add ids (n,), ascending, and their unit vectors (n, dim) float32.

        ``states`` are those of all cases by ascending id, packed: (cases,).
        """
        run = self._connection.exec_driver_sql
        run(
            "CREATE TABLE vectors (case_id bigint PRIMARY KEY, states integer NOT NULL, "
            f"embedding vector({dim}) NOT NULL)"
        )
        if 4 * dim < _ROOM:  # beside its row, as a page has room for it: a scan reads all of them
            run("ALTER TABLE vectors ALTER COLUMN embedding SET STORAGE PLAIN")

        def rows() -> Iterator[np.ndarray]:
            first = 0
            row = _binary_row(("case_id", ">i8"), ("states", ">i4"), vector=(dim, ">f4"))
            for ids, vectors in blocks:
                last = first + len(ids)
                yield _filled(row, case_id=ids, states=states[first:last], vector=vectors)
                first = last

        self._copy("vectors", rows())
        self._dim, self._count = dim, len(states)
        run("CREATE INDEX vectors_states ON vectors (states)")
        run(
            "CREATE TABLE label_sets AS SELECT states, count(*) AS cases FROM vectors "
            "GROUP BY states"
        )
        run("ANALYZE vectors, label_sets")

    def build_hnsw(self) -> None:
        """Build HNSW of the vectors that were added."""
        run = self._connection.exec_driver_sql
        needed = round(self._count * 2 * self._dim * _HNSW_BYTES / 2**20)
        run(f"SET LOCAL maintenance_work_mem = '{min(max(needed, 64), _MOST_HNSW_MEMORY)}MB'")
        run(
            f"CREATE INDEX vectors_hnsw ON vectors USING hnsw "
            f"((embedding::halfvec({self._dim})) halfvec_ip_ops)"
        )

    def vectors(self) -> VectorRows:
        """Those that were added."""
        return VectorRows(self._connection, self._dim)

    def add_image_vectors(self, blocks: Iterable[np.ndarray], dim: int) -> None:
        """Add the vectors of images, (n, dim) float16, in their order."""
        run = self._connection.exec_driver_sql
        run(f"CREATE TABLE image_vectors (place bigint PRIMARY KEY, embedding halfvec({dim}))")

        def rows() -> Iterator[np.ndarray]:
            first = 0
            row = _binary_row(("place", ">i8"), vector=(dim, ">f2"))
            for block in blocks:
                places = np.arange(first, first + len(block))
                yield _filled(row, place=places, vector=block)
                first += len(block)

        self._copy("image_vectors", rows())

    def commit_as(self, manifest: str, *, version: int, fingerprint: str) -> None:
        """Make this the current version once the transaction ends."""
        self._connection.exec_driver_sql(
            "INSERT INTO index_versions (version, fingerprint, schema, dim, layout, manifest) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            (version, fingerprint, self._schema, self._dim, LAYOUT, manifest),
        )

    def _copy(self, table: str, blocks: Iterable[np.ndarray]) -> None:
        """Send rows in the binary format of COPY. Source: postgresql.org/docs/18/sql-copy.html."""
        driver: Any = self._connection.connection.driver_connection
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as to,
        ):
            to.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for block in blocks:
                to.write(block.tobytes())
            to.write(b"\xff\xff")


def _binary_row(*columns: tuple[str, str], vector: tuple[int, str]) -> np.dtype[np.void]:
    """Return the type of a row of COPY: numbers, then a vector of pgvector, which is its dimension
    as int16, two zero bytes, and its numbers. Each field is preceded by its length."""
    dim, number = vector
    numbers = [((f"{name}_bytes", ">i4"), (name, kind)) for name, kind in columns]
    return np.dtype(
        [
            ("fields", ">i2"),
            *(part for field in numbers for part in field),
            *(("vector_bytes", ">i4"), ("dim", ">i2"), ("unused", ">i2")),
            ("vector", number, (dim,)),
        ]
    )


def _filled(row: np.dtype[np.void], *, vector: np.ndarray, **columns: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(vector), row)
    rows["fields"] = len(columns) + 1
    for name, values in columns.items():
        rows[f"{name}_bytes"], rows[name] = rows[name].dtype.itemsize, values
    dim = vector.shape[1]
    rows["vector_bytes"], rows["dim"] = 4 + rows["vector"].dtype.itemsize * dim, dim
    rows["vector"] = vector
    return rows
