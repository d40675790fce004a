"""Build an index in Ray: the same bytes as here while workers are killed, and its speed.

    python -m bench.index.ray_build --kills 20 --out results/ray.json

Invented studies of one drawn image each are built here first. Then they are built in Ray, as often
as it takes, while a worker drawn at random is killed with SIGKILL every few seconds; every index
must have the files of the first. With ``--driver-kills`` the whole command is killed in the middle
of a build and run again, so many times. Then one worker and two, each of one thread, build them
undisturbed: what counts is the time between finished batches, after the first ones.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from evaluation.provenance import machine
from indexer.build import build
from indexer.encoder.load import load_encoder
from indexer.encoder.spec import DEFAULT_ENCODER
from indexer.index import Index
from indexer.ingest.run import Engine
from indexer.sources.jsonl import JsonLines
from indexer.versions import current_folder

SIDE = 256
_WORKER = "ray::MapWorker"
_WARM_BATCHES = 6
_FINDINGS = ("The lungs are clear.", "The heart is enlarged.", "There is a left pleural effusion.")


def write_studies(folder: Path, count: int) -> JsonLines:
    """Studies of one image of smooth noise."""
    draw = np.random.default_rng(0)
    lines = []
    for number in range(count):
        coarse = Image.fromarray(draw.integers(0, 255, (16, 16), dtype=np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")
        findings = " ".join(draw.permutation(_FINDINGS)[: 1 + number % 3])
        study = {"study_id": f"s{number}", "image": f"{number}.jpg", "findings": findings}
        lines.append(json.dumps(study))
    (folder / "studies.jsonl").write_text("\n".join(lines) + "\n")
    return JsonLines(folder / "studies.jsonl")


class Finished:
    """Notes when batches are finished."""

    def __init__(self) -> None:
        self.images: list[int] = []
        self.times: list[float] = []

    def start(self, _total: int, _done: int) -> "Finished":
        return self

    def update(self, n: float | None = 1, /) -> None:
        self.images.append(int(n or 0))
        self.times.append(time.perf_counter())

    @property
    def images_per_second(self) -> float:
        seconds = self.times[-1] - self.times[_WARM_BATCHES]
        return sum(self.images[_WARM_BATCHES + 1 :]) / seconds


class Killer(threading.Thread):
    """Kills a worker of Ray every few seconds once the build runs, until it is stopped."""

    def __init__(self, bar: Finished, most: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.killed = 0
        self._bar, self._most, self._draw = bar, most, random.Random(seed)
        self._ended = threading.Event()

    def run(self) -> None:
        while self.killed < self._most and not self._ended.wait(self._draw.uniform(1, 6)):
            children = psutil.Process().children(recursive=True)
            workers = [one.pid for one in children if _WORKER in "".join(one.cmdline()[:1])]
            if self._bar.times and workers:
                os.kill(self._draw.choice(workers), signal.SIGKILL)
                self.killed += 1

    def stop(self) -> None:
        self._ended.set()
        self.join()


def digests(index_dir: Path) -> dict[str, str]:
    return dict(Index.open(current_folder(index_dir)).manifest.file_sha256)


def kills(source: JsonLines, folder: Path, wanted: int) -> dict[str, Any]:
    """Build until so many workers were killed."""
    encoder = load_encoder(DEFAULT_ENCODER)
    build(source, encoder, folder / "here")
    whole, done, builds, equal = digests(folder / "here"), 0, 0, 0
    while done < wanted:
        bar, out = Finished(), folder / f"killed{builds}"
        killer = Killer(bar, wanted - done, seed=builds)
        killer.start()
        build(source, encoder, out, progress=bar.start, engine=in_ray(2))
        killer.stop()
        done, builds = done + killer.killed, builds + 1
        equal += digests(out) == whole
        print(f"build {builds}: {killer.killed} kills, equal {digests(out) == whole}", flush=True)
    return {"kills": done, "builds": builds, "builds_with_equal_bytes": equal}


def driver_kills(source: JsonLines, folder: Path, wanted: int) -> dict[str, Any]:
    """Kill the whole command once some batches are finished, and run it again."""
    build(source, load_encoder(DEFAULT_ENCODER), folder / "by_command")
    whole, equal = digests(folder / "by_command"), 0
    for number in range(wanted):
        out = folder / f"driver{number}"
        command = [sys.executable, "-m", "indexer", "build", "--source", "jsonl", "--engine", "ray"]
        command += ["--data-dir", str(folder / "studies.jsonl"), "--out", str(out)]
        least = random.Random(number).randint(1, 6)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
            while (done := finished_batches(out)) < least and one.poll() is None:
                time.sleep(0.1)
            killed = one.poll() is None
            one.kill()
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        same = killed and again.returncode == 0 and digests(out) == whole
        equal += same
        print(f"driver {number}: killed {killed} after {done} batches, equal {same}", flush=True)
    return {"driver_kills": wanted, "resumed_with_equal_bytes": equal}


def finished_batches(index_dir: Path) -> int:
    folder = index_dir / ".building" / "batches"
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def in_ray(workers: int) -> Engine:
    from indexer.engines.ray_data import RayData  # whose extra few installations have

    load = partial(load_encoder, DEFAULT_ENCODER, threads=1)
    return RayData(load(), load, workers=workers)


def speed(source: JsonLines, out: Path, engine: Engine | None) -> float:
    """Images a second, from files to finished batches."""
    bar = Finished()
    build(source, load_encoder(DEFAULT_ENCODER), out, progress=bar.start, engine=engine)
    return round(bar.images_per_second, 1)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--studies", type=int, default=800)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--driver-kills", type=int, default=0)
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--out", type=Path, help="JSON to write or to add to")
    arguments = parser.parse_args(argv)
    found: dict[str, Any] = {}
    if arguments.out is not None and arguments.out.exists():
        found = json.loads(arguments.out.read_text())
    found |= {"machine": machine(gpu=False), "ray": version("ray")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = write_studies(folder, arguments.studies)
        if arguments.kills:
            counts = kills(source, folder, arguments.kills)
            found["kills"] = {**counts, "studies": arguments.studies}
        if arguments.driver_kills:
            counts = driver_kills(source, folder, arguments.driver_kills)
            found["driver"] = {**counts, "studies": arguments.studies}
        if not arguments.no_speed:
            rates = {
                "here": speed(source, folder / "alone", None),
                "one_worker": speed(source, folder / "one", in_ray(1)),
                "two_workers": speed(source, folder / "two", in_ray(2)),
            }
            load = [round(one, 1) for one in os.getloadavg()]
            found["images_per_second"] = {
                **rates,
                "load_average": load,
                "studies": arguments.studies,
            }
    print(json.dumps(found))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    held = found.get("kills", {"builds": 0, "builds_with_equal_bytes": 0})
    driver = found.get("driver", {"driver_kills": 0, "resumed_with_equal_bytes": 0})
    whole = held["builds"] == held["builds_with_equal_bytes"]
    return 0 if whole and driver["driver_kills"] == driver["resumed_with_equal_bytes"] else 1


if __name__ == "__main__":
    sys.exit(main())
