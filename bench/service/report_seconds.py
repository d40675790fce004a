"""Seconds of an extractive report of two large images, by this code and by an earlier checkout.

    python -m bench.service.report_seconds data/index --before /tmp/before --out results/x.json

The checkout is made by ``git worktree add /tmp/before COMMIT``, with ``--before-index`` where it
cannot read the index. Both are served with --model none and asked in turn for a report of the same
two JPEGs of 2,500 x 3,000 pixels, so that whatever else the machine does slows both. The first
reports are not counted. Run it on two cores (``taskset --cpu-list 0,1``); it fails if the 95th
percentile did not fall by a third.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from tqdm import tqdm

from bench.service.bounds import ordinary_jpeg, processor_seconds, served

_HEIGHT = 3_000
_PAIRS = 4
"""Studies of two images, which take turns."""
_UNCOUNTED = 3


@dataclass(kw_only=True)
class Server:
    """One of the two, and the seconds of its reports."""

    address: str
    pid: int
    seconds: list[float] = field(default_factory=list)
    processor_seconds: float = 0.0

    def report(self, study: Sequence[bytes], *, counted: bool) -> None:
        """Ask for one report. Exits where there is none."""
        files = [("images", ("view.jpg", image)) for image in study]
        used, started = processor_seconds(self.pid), time.monotonic()
        answer = httpx.post(f"{self.address}/reports", files=files, timeout=600)
        took = time.monotonic() - started
        if answer.status_code != 201:
            sys.exit(f"{self.address} answered {answer.status_code}: {answer.text[:300]}")
        if counted:
            self.seconds.append(took)
            self.processor_seconds += processor_seconds(self.pid) - used

    def figures(self) -> dict[str, float]:
        median, p95 = np.percentile(self.seconds, (50, 95))
        return {
            "median_seconds": round(float(median), 3),
            "p95_seconds": round(float(p95), 3),
            "processor_seconds": round(self.processor_seconds / len(self.seconds), 3),
        }


def measure(servers: Sequence[Server], studies: Sequence[Sequence[bytes]], reports: int) -> None:
    """Ask both for so many reports, in turn."""
    for number in tqdm(range(-_UNCOUNTED, reports), unit="report", file=sys.stderr):
        for server in servers if number % 2 else reversed(servers):
            server.report(studies[number % len(studies)], counted=number >= 0)


def _commit(checkout: Path) -> str:
    words = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of earlier code")
    parser.add_argument("--before-index", type=Path, help="of the earlier code; INDEX by default")
    parser.add_argument("--reports", type=int, default=100, help="of each (default: %(default)s)")
    parser.add_argument("--least", type=float, default=1 / 3, help="share by which p95 must fall")
    parser.add_argument("--out", type=Path, help="write the figures there, as JSON")
    arguments = parser.parse_args()
    images = [ordinary_jpeg(seed, _HEIGHT) for seed in range(2 * _PAIRS)]
    studies = [images[start : start + 2] for start in range(0, len(images), 2)]
    checkouts = (arguments.before, Path.cwd())
    indexes = (arguments.before_index or arguments.index, arguments.index)
    with ExitStack() as stack:
        servers = []
        for checkout, index in zip(checkouts, indexes, strict=True):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            served_one = served(index, folder, checkout=checkout)
            address, pid = stack.enter_context(served_one)
            servers.append(Server(address=address, pid=pid))
        measure(servers, studies, arguments.reports)
        load = os.getloadavg()
    before, after = (
        {"commit": _commit(checkout), **server.figures(), "seconds": server.seconds}
        for checkout, server in zip(checkouts, servers, strict=True)
    )
    fell = 1 - np.percentile(servers[1].seconds, 95) / np.percentile(servers[0].seconds, 95)
    figures = {
        "reports_each": arguments.reports,
        "before": before,
        "after": after,
        "p95_fell_by": round(float(fell), 3),
        "cores": len(os.sched_getaffinity(0)),
        "load_average_at_the_end": [round(one, 1) for one in load],
    }
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    for one in (before, after):
        del one["seconds"]
    print(json.dumps(figures, indent=1))
    return 0 if fell >= arguments.least else 1


if __name__ == "__main__":
    sys.exit(main())
