"""Read the vectors of one version of an index from PostgreSQL.

rows = VectorRows(connection, dim=384)
ids, vectors = rows.nearest(query, 5, exclude=[7])
"""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection

_EF_SEARCH, _MOST_EF_SEARCH = 200, 1000
"""Candidates that HNSW keeps while it searches, at least, and the most that pgvector takes."""


class VectorRows:
    """The vectors of one version, on one connection."""

    def __init__(self, connection: Connection, dim: int) -> None:
        self._run = connection.exec_driver_sql
        self._dim = dim

    def ids(self) -> np.ndarray:
        """Return all case ids: (n,) int64, ascending."""
        found = self._run("SELECT case_id FROM vectors ORDER BY case_id")
        return np.fromiter(found.scalars(), np.int64)

    def nearest(
        self,
        query: np.ndarray,
        limit: int,
        *,
        exclude: Sequence[int] = (),
        only: Sequence[int] | None = None,
        approximate: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and vectors, (limit, dim) float32, of the cases nearest to a query (dim,).

        ``approximate`` asks HNSW, which may miss some.
        """
        where, values = _conditions(exclude, only)
        column, kind = "embedding", "vector"
        if approximate:
            column, kind = f"(embedding::halfvec({self._dim}))", "halfvec"
            self._run(
                f"SET LOCAL hnsw.ef_search = {min(max(_EF_SEARCH, limit), _MOST_EF_SEARCH)}; "
                "SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL enable_seqscan = off"
            )
        found = self._vectors(
            f"{where} ORDER BY {column} <#> %s::{kind}({self._dim}) LIMIT %s",
            (*values, _text(query), limit),
        )
        if approximate:
            self._run("SET LOCAL enable_seqscan = on")
        return found

    def within(
        self,
        query: np.ndarray,
        cosine: float,
        *,
        exclude: Sequence[int] = (),
        only: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and vectors of all cases whose inner product with a query is at least this."""
        where, values = _conditions(exclude, only)
        return self._vectors(
            f"{where} AND embedding <#> %s::vector({self._dim}) <= %s",
            (*values, _text(query), -cosine),
        )

    def block(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and vectors of up to ``count`` cases from the id ``first`` on, by id."""
        return self._vectors("WHERE case_id >= %s ORDER BY case_id LIMIT %s", (first, count))

    def image_vectors(self, places: np.ndarray) -> np.ndarray:
        """Return the vectors of images by place: (n, dim) float16."""
        found = self._run(
            "SELECT halfvec_send(embedding) FROM image_vectors JOIN "
            "unnest(%s::bigint[]) WITH ORDINALITY AS wanted (place, turn) USING (place) "
            "ORDER BY turn",
            ([int(place) for place in places],),
        )
        return _numbers(list(found.scalars()), self._dim, ">f2").astype(np.float16)

    def _vectors(self, rest: str, values: tuple[object, ...]) -> tuple[np.ndarray, np.ndarray]:
        rows = self._run(
            f"SELECT case_id, vector_send(embedding) FROM vectors {rest}", values
        ).all()
        ids = np.array([case_id for case_id, _ in rows], np.int64)
        vectors = _numbers([sent for _, sent in rows], self._dim, ">f4")
        return ids, vectors.astype(np.float32)


def _conditions(
    exclude: Sequence[int], only: Sequence[int] | None
) -> tuple[str, tuple[object, ...]]:
    where, values = ["true"], list[object]()
    if len(exclude):
        where.append("case_id <> ALL(%s::bigint[])")
        values.append(list(exclude))
    if only is not None:
        where.append("case_id = ANY(%s::bigint[])")
        values.append(list(only))
    return f"WHERE {' AND '.join(where)}", tuple(values)


def _text(vector: np.ndarray) -> str:
    return f"[{','.join(str(number) for number in vector.astype(np.float32))}]"


def _numbers(sent: Sequence[bytes], dim: int, number: str) -> np.ndarray:
    """Read vectors as pgvector sends them: (n, dim)."""
    row = np.dtype([("dim", ">i2"), ("unused", ">i2"), ("vector", number, (dim,))])
    found: np.ndarray = np.frombuffer(b"".join(sent), row)["vector"]
    return found
