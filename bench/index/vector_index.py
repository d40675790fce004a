"""Time, recall, size and memory of a vector search by the number of vectors.

    python -m bench.index.vector_index --counts 10000 100000 1000000

Vectors of 256 numbers in clusters of 50, the noise such that a vector has a cosine of about .9 to
its centre (uniformly random vectors have no near neighbours, and no index but an exact one finds
them). Queries are drawn from the same clusters and are not indexed. For every count the index that
is chosen by default is built from vectors that lie on disk, in a process of its own whose peak
memory is read; then it and an exact one answer the same queries, one at a time. A query runs on one
thread; its CPU time is what it takes on an idle machine, and the load is printed for the rest.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from indexer.vectors.build import build_vectors
from indexer.vectors.exact import ExactVectors, write_exact
from indexer.vectors.ivf import IDS, VECTORS
from indexer.vectors.options import VectorOptions, VectorSpec
from indexer.vectors.row_files import RowFile, read_blocks
from indexer.vectors.store import VectorStore, open_vectors

DIM = 256
IN_CLUSTER = 50
NOISE = 0.03  # per number
QUERIES = 300


def write_vectors(directory: Path, count: int, dim: int = DIM) -> np.ndarray:
    """Writes ids and vectors; returns queries (300, dim)."""
    draw = np.random.default_rng(count)
    centres = draw.standard_normal((max(1, count // IN_CLUSTER), dim), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)

    def some(number: int) -> np.ndarray:
        rows = centres[draw.integers(0, len(centres), number)]
        rows = rows + NOISE * draw.standard_normal((number, dim), dtype=np.float32)
        unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    np.save(directory / IDS, np.arange(count))
    with RowFile(directory / VECTORS, count, dim, dtype=np.float32) as rows:
        for start in range(0, count, 50_000):
            rows.append(some(min(50_000, count - start)))
    return some(QUERIES)


def nearest(path: Path, queries: np.ndarray) -> np.ndarray:
    """Rows of the true 10 nearest, (queries, 10)."""
    scores = np.zeros((len(queries), 0), np.float32)
    rows = np.zeros((len(queries), 0), np.int64)
    first = 0
    for block in read_blocks(path):
        numbers = np.broadcast_to(np.arange(first, first + len(block)), (len(queries), len(block)))
        scores = np.concatenate([scores, queries @ block.T], axis=1)
        rows = np.concatenate([rows, numbers], axis=1)
        best = np.argpartition(-scores, 9, axis=1)[:, :10]
        scores = np.take_along_axis(scores, best, axis=1)
        rows = np.take_along_axis(rows, best, axis=1)
        first += len(block)
    return rows


def built(directory: Path, options: VectorOptions) -> tuple[VectorSpec, float, float, float]:
    """Built in a child: the spec, seconds by the clock and of CPU, and by how many megabytes its
    memory grew at most."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        import resource  # not on Windows

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        spec = build_vectors(directory, options)
        seconds = time.perf_counter() - started
        cpu = time.process_time()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
        values = (
            spec.type,
            spec.lists,
            spec.probes,
            spec.candidates,
            spec.recall,
            spec.queries,
            seconds,
            cpu,
            grown,
        )
        os.write(writer, " ".join(map(str, values)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        kind, lists, probes, candidates, recall, queries, *rest = stream.read().split()
    os.waitpid(process, 0)
    spec = VectorSpec(
        type="ivf" if kind == "ivf" else "exact",
        lists=int(lists),
        probes=int(probes),
        candidates=int(candidates),
        recall=float(recall),
        queries=int(queries),
    )
    seconds, cpu, grown = map(float, rest)
    return spec, seconds, cpu, grown


def timed(store: VectorStore, queries: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Median milliseconds a query, by the clock and of CPU, and recall@10."""
    store.search(queries[0], 10)
    clock, cpu, shares = [], [], []
    for query, wanted in zip(queries, truth, strict=True):
        started, worked = time.perf_counter(), time.thread_time()
        ids, _ = store.search(query, 10)
        cpu.append(1000 * (time.thread_time() - worked))
        clock.append(1000 * (time.perf_counter() - started))
        shares.append(np.isin(wanted, ids).mean())
    return float(np.median(clock)), float(np.median(cpu)), float(np.mean(shares))


def measure(count: int, directory: Path, options: VectorOptions, exact_queries: int) -> str:
    queries = write_vectors(directory, count)
    truth = nearest(directory / VECTORS, queries)
    flat = directory / "exact.faiss"
    write_exact(flat, np.arange(count), read_blocks(directory / VECTORS))
    exact = ExactVectors.open(flat)
    exact_ms, exact_cpu, exact_recall = timed(exact, queries[:exact_queries], truth[:exact_queries])
    assert exact_recall > 0.9999, exact_recall
    del exact
    flat.unlink()
    spec, seconds, build_cpu, grown = built(directory, options)
    size = sum(path.stat().st_size for path in directory.iterdir()) / 1e6
    started = time.perf_counter()
    store = open_vectors(directory, spec)
    opened = time.perf_counter() - started
    median, cpu, recall = timed(store, queries, truth)
    kind = spec.type if spec.type == "exact" else f"ivf {spec.probes}/{spec.lists}"
    return (
        f"| {count:,} | {kind} | {seconds:.1f} | {build_cpu:.1f} | {grown:,.0f} | {size:,.0f} "
        f"| {1000 * opened:.0f} | {median:.2f} | {cpu:.2f} | {recall:.4f} | {spec.recall:.4f} "
        f"| {exact_ms:.2f} | {exact_cpu:.2f} |"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    counts = [10_000, 30_000, 100_000, 300_000, 1_000_000]
    parser.add_argument("--counts", type=int, nargs="+", default=counts)
    parser.add_argument("--type", choices=("auto", "exact", "ivf"), default="auto")
    parser.add_argument("--exact-queries", type=int, default=30)
    arguments = parser.parse_args(argv)
    options = VectorOptions(type=arguments.type)
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average at the start {load}; {DIM} numbers a vector")
    print(
        "| vectors | index | build s | build CPU s | grown MB | disk MB | open ms | median ms "
        "| CPU ms | recall@10 | at build | exact ms | exact CPU ms |"
    )
    print("|" + "---|" * 13)
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            print(measure(count, Path(folder), options, arguments.exact_queries), flush=True)
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"load average at the end {load}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
