"""Read versions of an index that `db.index.publishing` wrote into PostgreSQL.

version = PublishedVersion.open(url)                # the current one
with version.reading() as rows:
    ids, vectors = rows.nearest(query, 5, Selection(without_patients=("p17",)))

The table ``index_versions`` says which version is current; a reader stays on the one that it opened
for as long as it is kept.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sqlalchemy import URL, Connection, Engine, Row, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DatabaseError

from db.engines.location import shown
from db.engines.postgresql import open_postgresql, reason, why_unusable
from db.engines.sqlite import LOCK_TIMEOUT
from db.errors import MismatchError, NotFoundError, UnavailableError, UserError
from db.index.vector_rows import VectorRows

LAYOUT = 2
"""Of the tables of a version."""


@dataclass(frozen=True, kw_only=True)
class PublishedVersion:
    """One version, read-only; newer versions do not affect it."""

    url: URL
    number: int
    schema: str
    """That its tables are in."""
    engine: Engine
    manifest: str
    dim: int

    @classmethod
    def open(cls, url: URL, version: int | None = None) -> Self:
        """Open the current version, or the one of this number.

        Raises NotFoundError if there is none, MismatchError if another release of the program
        published it, and UserError if the database cannot be used.
        """
        row = next((one for one in _versions(url) if version in (None, one.version)), None)
        if row is None:
            raise NotFoundError(
                f"{shown(url)} holds no index: publish one with 'python -m indexer publish'"
            )
        if row.layout > LAYOUT:
            raise newer_release(shown(url))
        if row.layout < LAYOUT:
            raise MismatchError(
                f"{shown(url)} holds an index that an older release of the program published: "
                "publish the index again"
            )
        before = str(url.query.get("options", ""))
        kept = re.sub(r"-c\s*search_path=\S+", "", before).strip()
        path = f"{kept} -csearch_path={row.schema},{row.home},public".strip()
        inside = url.update_query_dict({"options": path})
        engine = open_postgresql(inside, lock_timeout=LOCK_TIMEOUT)

        @event.listens_for(engine, "handle_error")
        def _name(context: ExceptionContext) -> None:
            error = context.sqlalchemy_exception
            if isinstance(error, DatabaseError) and why_unusable(error) and not context.is_pre_ping:
                raise _unavailable(url, error) from error

        return cls(
            url=url,
            number=row.version,
            schema=row.schema,
            engine=engine,
            manifest=row.manifest,
            dim=row.dim,
        )

    def file_names(self) -> list[str]:
        """Return the names of the files of the version."""
        with self._connected() as connection:
            names = connection.exec_driver_sql("SELECT DISTINCT name FROM files").scalars()
            return sorted(names)

    def parts(self, name: str) -> Iterator[bytes]:
        """Yield the content of one file; nothing if there is no such file."""
        part = 0
        while True:
            with self._connected() as connection:
                content = connection.exec_driver_sql(
                    "SELECT content FROM files WHERE name = %s AND part = %s", (name, part)
                ).scalar_one_or_none()
            if content is None:
                return
            yield bytes(content)
            part += 1

    def image_vectors(self, places: np.ndarray) -> np.ndarray:
        """Return the vectors of images by place: (n, dim) float16."""
        with self.reading() as rows:
            return rows.image_vectors(places)

    def has_hnsw(self) -> bool:
        """Return whether HNSW of the vectors was built and is valid."""
        with self._connected() as connection:
            found = connection.exec_driver_sql(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('vectors_hnsw')"
            ).scalar_one_or_none()
        return bool(found)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[VectorRows]:
        """Read vectors while the block runs. Raises UnavailableError if the server fails."""
        with self._connected() as connection:
            yield VectorRows(connection, self.dim)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except DatabaseError as error:
            raise _unavailable(self.url, error) from error


def _unavailable(url: URL, error: DatabaseError) -> UnavailableError:
    return UnavailableError(
        f"the index in {shown(url)} cannot be read ({reason(error)})", retry_after=60
    )


def version_numbers(url: URL) -> list[int]:
    """Return the numbers of the versions on a server, the current one first; none without an index.

    Raises UserError if the database cannot be used.
    """
    return [row.version for row in _versions(url)]


def newer_release(place: str) -> MismatchError:
    return MismatchError(
        f"{place} holds an index that a newer release of the program published: update the program"
    )


def _versions(url: URL) -> Sequence[Row[Any]]:
    engine = open_postgresql(url, lock_timeout=LOCK_TIMEOUT, pooled=False)
    with named_errors(url), engine.connect() as connection:
        run = connection.exec_driver_sql
        if run("SELECT to_regclass('index_versions')").scalar_one() is None:
            return []
        return run(
            "SELECT version, schema, dim, layout, manifest, current_schema() AS home "
            "FROM index_versions ORDER BY version DESC"
        ).all()


@contextmanager
def named_errors(url: URL) -> Iterator[None]:
    """Raise UserError, in one sentence, where the block cannot use the database."""
    try:
        yield
    except DatabaseError as error:
        raise UserError(
            f"{shown(url)} cannot be used for an index ({reason(error)}): check the server and "
            "your rights there"
        ) from error
