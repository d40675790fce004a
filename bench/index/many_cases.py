"""Time and memory to open an index of many cases and to look cases up in it.

    python -m bench.index.many_cases --count 1000000

The cases are invented: one image, two sentences and three labels each, written by SQL. Vectors are
not part of it: see ``bench/index/vector_index.py``.
"""

import argparse
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from db.index.store import CaseStore
from db.labels import FINDINGS
from indexer.images.radiograph import Radiograph
from retriever.near_duplicates import NearDuplicateFinder

DIM = 256


def write_cases(path: Path, count: int) -> None:
    CaseStore.create(path).close()
    numbers = range(count)
    names = len(FINDINGS)
    with closing(sqlite3.connect(path)) as base, base:
        base.executemany(
            "INSERT INTO cases VALUES (?, 'drawn', ?, ?, '', 'The lungs are clear.', 'Normal.')",
            ((n, f"s{n}", f"p{n // 2}") for n in numbers),
        )
        base.executemany(
            "INSERT INTO images VALUES (?, ?, 0, ?, 'PA', 2000, 2000, ?, ?)",
            (
                (n, n, f"/images/{n}.png", f"{n:064x}", f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}")
                for n in numbers
            ),
        )
        base.executemany(
            "INSERT INTO labels (case_id, observation, state) VALUES (?, ?, ?)",
            (
                (n, FINDINGS[(n + place) % names], ("positive", "negative", "uncertain")[place])
                for n in numbers
                for place in range(3)
            ),
        )
        base.executemany(
            "INSERT INTO sentences (case_id, position, section, text, refers_to_prior) "
            "VALUES (?, ?, 'findings', 'The lungs are clear.', 0)",
            ((n, place) for n in numbers for place in range(2)),
        )


def timed(what: str, work: Callable[[], Any]) -> Any:
    import resource  # not on Windows

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock, cpu = time.perf_counter(), time.process_time()
    result = work()
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown
    print(f"| {what} | {1000 * clock:,.1f} | {1000 * cpu:,.1f} | {grown / 1000:,.0f} |", flush=True)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    count = parser.parse_args(argv).count
    print(f"{count:,} cases, load average {os.getloadavg()[0]:.1f}")
    print("| what | ms | CPU ms | peak MB grown |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.sqlite"
        timed("writing them by SQL", lambda: write_cases(path, count))
        print(f"{path.stat().st_size / 1e6:,.0f} MB on disk")
        cases = timed("open", lambda: CaseStore.open(path))
        timed("count", cases.count)
        ids, table = timed("labels of all, at Retriever.open", cases.state_table)
        rows = np.zeros((count, DIM), np.float16)
        index: Any = SimpleNamespace(cases=cases, image_vectors=rows)
        duplicates = timed(
            "image hashes of all, at Retriever.open", lambda: NearDuplicateFinder(index)
        )
        draw = np.random.default_rng(0)
        pixels = draw.integers(0, 255, (200, 200)).astype(np.uint8)
        image = Radiograph(pixels=pixels, view_position=None, notes=())
        query: Any = SimpleNamespace(images=(image,), image_vectors=np.ones((1, DIM), np.float32))
        timed("near duplicates of one image", lambda: duplicates.find(query))
        wanted = draw.integers(0, count, 13).tolist()
        timed("13 cases by id", lambda: cases.get(wanted))
        timed("cases of a patient and a study", lambda: cases.ids_of(patient_ids=["p7"]))
        timed("cases with two labels", lambda: ids[table[:, [2, 3]].all(axis=1)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
