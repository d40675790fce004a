"""Damaged images against a running service: no 5xx, no answer later than 10 s, no growing memory.

    python -m api serve data/index &
    python -m tests.robustness.fuzz --images image.png image.dcm --pid $! --count 2000

``--pid`` names the server, whose memory is then watched.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
from tqdm import tqdm

from tests.robustness.mutations import mutated

PATHS = (("/images", "image"), ("/searches", "images"), ("/reports", "images"))
LIMIT_SECONDS, LIMIT_MB = 10.0, 200


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--address", default="http://127.0.0.1:8000")
    parser.add_argument("--pid", type=int, help="of the server")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    images = [path.read_bytes() for path in arguments.images]
    answers: Counter[tuple[str, int]] = Counter()
    slowest, start = 0.0, 0.0
    failures = []
    with httpx.Client(base_url=arguments.address, timeout=60) as client:
        files = mutated(images, count=arguments.count, seed=arguments.seed)
        for number, data in enumerate(tqdm(files, total=arguments.count, file=sys.stderr)):
            path, field = PATHS[number % len(PATHS)]
            began = time.monotonic()
            status = client.post(path, files={field: ("image", data)}).status_code
            took = time.monotonic() - began
            slowest = max(slowest, took)
            answers[path, status] += 1
            if status >= 500 or took > LIMIT_SECONDS:
                failures.append((number, path, status, round(took, 1)))
            if number == arguments.count // 10:  # warm by now
                start = memory_mb(arguments.pid)
    grown = memory_mb(arguments.pid) - start
    for (path, status), count in sorted(answers.items()):
        print(f"{path} {status}: {count}")
    print(f"slowest answer {slowest:.2f} s, memory grown by {grown:.0f} MB")
    for failure in failures:
        print("failed:", *failure)
    return 1 if failures or grown > LIMIT_MB else 0


def memory_mb(pid: int | None) -> float:
    """Resident memory of a process."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
