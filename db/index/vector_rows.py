"""Read the vectors of one version of an index from PostgreSQL.

rows = VectorRows(connection, dim=384)
ids, vectors = rows.nearest(query, 5, Selection(without_patients=("p17",)))
"""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection

from db.index.selection import ALL, Selection

MOST_EF_SEARCH = 1000
"""The most candidates that pgvector lets HNSW keep while it searches."""
_MOST_SCANNED = 200_000
"""Tuples that an iterative scan of HNSW visits at most before it gives up."""
_MEMORY = "256MB"
"""At most, of which a search takes what it needs: for what an iterative scan of HNSW has visited,
or it gives up early; for the places of cases with some labels, or whole pages are read; and for the
ids of excluded cases, or each case is compared with each of them."""


class VectorRows:
    """The vectors of one version, on one connection."""

    def __init__(self, connection: Connection, dim: int) -> None:
        self._run = connection.exec_driver_sql
        self._dim = dim

    def ids(self) -> np.ndarray:
        """Return all case ids: (n,) int64, ascending."""
        found = self._run("SELECT case_id FROM vectors ORDER BY case_id")
        return np.fromiter(found.scalars(), np.int64)

    def states(self) -> np.ndarray:
        """Return the packed states of all cases by ascending id: (n,) int64."""
        found = self._run("SELECT states FROM vectors ORDER BY case_id")
        return np.fromiter(found.scalars(), np.int64)

    def label_sets(self) -> dict[int, int]:
        """Map packed states to the number of cases that have them."""
        found = self._run("SELECT states, cases FROM label_sets")
        return {row.states: row.cases for row in found}

    def allowed(self, selection: Selection, count: int) -> int:
        """Estimate how many of ``count`` cases a selection leaves, from counts of label sets and
        of the cases of excluded patients and studies."""
        left = float(count)
        if selection.labels:
            left = self._run(
                f"SELECT coalesce(sum(cases), 0) FROM label_sets WHERE {selection.label_sql()}"
            ).scalar_one()
        if selection.only_cases is not None:
            left = min(left, len(selection.only_cases))
        excluded = len(selection.without_cases)
        if selection.excludes:
            query, values = selection.excluded_sql()
            excluded += self._run(
                f"SELECT count(DISTINCT id) FROM ({query}) AS excluded", values
            ).scalar_one()
        return round(float(left) * selection.share * max(1 - excluded / max(count, 1), 0))

    def nearest(
        self, query: np.ndarray, limit: int, selection: Selection = ALL
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and vectors, (limit, dim) float32, of the cases nearest to a query (dim,)."""
        where, values = self._exact_conditions(selection)
        return self._vectors(  # joined again: sending a vector is dearer than its inner product
            f"(SELECT case_id FROM vectors WHERE {where} "
            f"ORDER BY embedding <#> %s::vector({self._dim}) LIMIT %s) AS nearest "
            "JOIN vectors USING (case_id)",
            (*values, _text(query), limit),
        )

    def proposed(
        self,
        query: np.ndarray,
        limit: int,
        selection: Selection = ALL,
        *,
        proposed: int,
        ef_search: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what `nearest` does, of the ``proposed`` cases that HNSW finds first.

        It may miss some, the fewer the higher ``ef_search`` is, and return fewer than ``limit``.
        """
        where, values = selection.conditions()
        candidates = min(max(ef_search, proposed), MOST_EF_SEARCH)
        self._run(
            f"SET LOCAL work_mem = '{_MEMORY}'; SET LOCAL hnsw.ef_search = {candidates}; "
            "SET LOCAL hnsw.iterative_scan = relaxed_order; "
            f"SET LOCAL hnsw.max_scan_tuples = {_MOST_SCANNED}; "
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
        )
        query_text = _text(query)
        found = self._vectors(
            "(WITH proposed AS MATERIALIZED (SELECT case_id, embedding FROM vectors "
            f"WHERE {where} ORDER BY (embedding::halfvec({self._dim})) <#> "
            f"%s::halfvec({self._dim}) LIMIT %s) SELECT * FROM proposed "
            f"ORDER BY embedding <#> %s::vector({self._dim}) LIMIT %s) AS nearest",
            (*values, query_text, proposed, query_text, limit),
        )
        self._run("SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on")
        return found

    def within(
        self, query: np.ndarray, cosine: float, selection: Selection = ALL
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and vectors of all cases whose inner product with a query is at least this."""
        where, values = self._exact_conditions(selection)
        return self._vectors(
            f"vectors WHERE {where} AND embedding <#> %s::vector({self._dim}) <= %s",
            (*values, _text(query), -cosine),
        )

    def block(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and vectors of up to ``count`` cases from the id ``first`` on, by id."""
        return self._vectors(
            "vectors WHERE case_id >= %s ORDER BY case_id LIMIT %s", (first, count)
        )

    def image_vectors(self, places: np.ndarray) -> np.ndarray:
        """Return the vectors of images by place: (n, dim) float16."""
        found = self._run(
            "SELECT halfvec_send(embedding) FROM image_vectors JOIN "
            "unnest(%s::bigint[]) WITH ORDINALITY AS wanted (place, turn) USING (place) "
            "ORDER BY turn",
            ([int(place) for place in places],),
        )
        return _numbers(list(found.scalars()), self._dim, ">f2").astype(np.float16)

    def image_count(self) -> int:
        """Return the number of vectors of images."""
        return int(self._run("SELECT count(*) FROM image_vectors").scalar_one())

    def _exact_conditions(self, selection: Selection) -> tuple[str, tuple[object, ...]]:
        """Name the label sets one by one, so that PostgreSQL knows how many cases they have."""
        self._run(f"SET LOCAL work_mem = '{_MEMORY}'")
        states = None
        if selection.labels:
            states = (
                self._run(f"SELECT states FROM label_sets WHERE {selection.label_sql()}")
                .scalars()
                .all()
            )
        return selection.conditions(states=states)

    def _vectors(self, rest: str, values: tuple[object, ...]) -> tuple[np.ndarray, np.ndarray]:
        rows = self._run(f"SELECT case_id, vector_send(embedding) FROM {rest}", values).all()
        ids = np.array([case_id for case_id, _ in rows], np.int64)
        vectors = _numbers([sent for _, sent in rows], self._dim, ">f4")
        return ids, vectors.astype(np.float32)


def _text(vector: np.ndarray) -> str:
    return f"[{','.join(str(number) for number in vector.astype(np.float32))}]"


def _numbers(sent: Sequence[bytes], dim: int, number: str) -> np.ndarray:
    """Read vectors as pgvector sends them: (n, dim)."""
    row = np.dtype([("dim", ">i2"), ("unused", ">i2"), ("vector", number, (dim,))])
    found: np.ndarray = np.frombuffer(b"".join(sent), row)["vector"]
    return found
