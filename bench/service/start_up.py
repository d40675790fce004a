"""How long commands take from process start to end, beside what their imports take at least.

python -m bench.service.start_up INDEX IMAGE --runs 5

In turn, so that all meet the same machine: Python alone, the libraries of a search, a search, and
reports without and with the shipped language model. Prints the median and all runs in seconds, with
the CPU time of each command; on a busy machine the latter is the steadier figure.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commands(index: str, image: str) -> dict[str, list[str]]:
    """What is measured, by name."""
    cli = ["-m", "grounded_cxr"]
    return {
        "python": ["-c", "pass"],
        "numpy, faiss, onnxruntime": ["-c", "import numpy, faiss, onnxruntime"],
        "search": [*cli, "search", index, image],
        "report, no model": [*cli, "report", index, image, "--model", "none"],
        "torch, transformers": [
            "-c",
            "import torch; from transformers import MllamaForConditionalGeneration",
        ],
        "report": [*cli, "report", index, image],
    }


def seconds(words: list[str]) -> tuple[float, float]:
    """Seconds of the clock and of the processor that ``python WORDS`` takes."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    passed, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system
    return passed, used - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    measured = commands(str(arguments.index.absolute()), str(arguments.image.absolute()))
    for words in measured.values():  # files into the cache
        seconds(words)
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in measured}
    for _ in range(arguments.runs):
        for name, words in measured.items():
            runs[name].append(seconds(words))
    for name, taken in runs.items():
        clock, used = ([round(one, 2) for one in parts] for parts in zip(*taken, strict=True))
        figures = {
            "command": name,
            "median_s": statistics.median(clock),
            "median_cpu_s": statistics.median(used),
            "runs_s": clock,
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
        }
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
