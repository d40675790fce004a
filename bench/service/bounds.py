"""Memory and answers of a service under hostile files and a batch of 1,000 studies of full size.

    python -m bench.service.bounds data/index --files 40 --studies 1000

The service runs with --model none. Hostile files are sent two at once; then the batch is sent, and
its reports are written. All the while another client searches and asks for the health, and the
summed proportional set size (PSS) of the server and its children is sampled every 100 ms. It fails
if a request gets no answer or a 500, if a study is not written, or above --most-mb.
"""

import argparse
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from bench.service.hostile_files import hostile_request

_SAMPLE_SECONDS = 0.1
_REQUEST_SECONDS = 3600.0
_PART = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'


@dataclass(kw_only=True)
class Measured:
    """What was seen."""

    answers: list[tuple[str, str, int, float]] = field(default_factory=list)
    """Of hostile requests: name, route, status and seconds; status 0 without an answer."""
    pss_mb: list[float] = field(default_factory=list)
    searches: list[float] = field(default_factory=list)
    healths: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    done: int = 0
    accept_seconds: float = 0.0
    batch_seconds: float = 0.0
    body_mb: float = 0.0

    def summary(self, most_mb: float) -> dict[str, object]:
        return {
            "files": len(self.answers),
            "slowest_answer_seconds": round(max((one[3] for one in self.answers), default=0.0), 1),
            "studies_written": self.done,
            "batch_mb": round(self.body_mb),
            "batch_accepted_seconds": round(self.accept_seconds, 1),
            "batch_seconds": round(self.batch_seconds, 1),
            "pss_mb": round(max(self.pss_mb, default=0.0)),
            "pss_limit_mb": most_mb,
            "pss_samples": len(self.pss_mb),
            "searches": len(self.searches),
            "search_p95_seconds": _p95(self.searches),
            "healths": len(self.healths),
            "health_p95_seconds": _p95(self.healths),
            "failed": self.failed,
        }


def _p95(seconds: list[float]) -> float | None:
    return round(float(np.percentile(seconds, 95)), 3) if seconds else None


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            words = path.read_text().rsplit(")", 1)[1].split()
            parents.setdefault(int(words[1]), []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def pss_mb(pid: int) -> float:
    """Summed over the process and its descendants: shared pages count once."""
    total = 0
    for one in family(pid):
        with suppress(OSError, StopIteration, ValueError):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return total / 1024


def processor_seconds(pid: int) -> float:
    """Used so far by the process and its descendants that run."""
    ticks = 0
    for one in family(pid):
        with suppress(OSError, ValueError):
            words = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def ordinary_jpeg(seed: int, height: int) -> bytes:
    """A grey image with the noise of a detector; a radiograph is about 2,500 x 3,000."""
    random = np.random.default_rng(seed)
    coarse = random.integers(20, 235, (24, 20), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((round(height / 1.2), height), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, np.int16)
    noise = random.integers(-3, 4, pixels.shape, dtype=np.int16)
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=85)
    return out.getvalue()


def batch_body(images: list[bytes], studies: int) -> Iterator[bytes]:
    """A form of so many studies of one image each, made as it is sent."""
    for number in range(studies):
        yield _PART % (b"images", b'; filename="a.jpg"') + images[number % len(images)] + b"\r\n"
    yield b"--x--\r\n"


def measure(
    address: str,
    pid: int,
    *,
    files: Iterable[int],
    studies: int,
    height: int,
    seconds: float = 0.1,
) -> Measured:
    """Send everything to a server. ``seconds``: between two requests of the other client."""
    measured, stop = Measured(), threading.Event()

    def sample() -> None:
        while not stop.wait(_SAMPLE_SECONDS):
            measured.pss_mb.append(pss_mb(pid))

    def ask() -> None:
        small = ordinary_jpeg(0, 512)
        with httpx.Client(base_url=address, timeout=_REQUEST_SECONDS) as client:
            while not stop.wait(seconds):
                try:
                    started = time.monotonic()
                    answer = client.post("/searches", files={"images": ("a.jpg", small)})
                    measured.searches.append(time.monotonic() - started)
                    if answer.status_code not in (200, 503):
                        measured.failed.append(f"search {answer.status_code}")
                    started = time.monotonic()
                    client.get("/health")
                    measured.healths.append(time.monotonic() - started)
                except httpx.HTTPError as error:
                    measured.failed.append(f"other client: {type(error).__name__}")
                    return

    threads = [threading.Thread(target=sample), threading.Thread(target=ask)]
    for thread in threads:
        thread.start()
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda number: _send(address, number, measured), files))
        _send_batch(address, measured, studies, height)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return measured


def _send(address: str, number: int, measured: Measured) -> None:
    asked = hostile_request(number)
    started, status = time.monotonic(), 0
    try:
        answer = httpx.post(
            f"{address}{asked.path}",
            content=asked.body,
            headers={"content-type": asked.content_type},
            timeout=_REQUEST_SECONDS,
        )
        status = answer.status_code
    except httpx.HTTPError as error:
        measured.failed.append(f"{asked.name} to {asked.path}: {type(error).__name__}")
    took = time.monotonic() - started
    measured.answers.append((asked.name, asked.path, status, took))
    if status in (500, 502):
        measured.failed.append(f"{asked.name} to {asked.path}: {status}")
    print(f"{status} {took:6.1f} s {asked.path:22}{asked.name}", flush=True)


def _send_batch(address: str, measured: Measured, studies: int, height: int) -> None:
    images = [ordinary_jpeg(seed, height) for seed in range(1, 9)]
    started = time.monotonic()
    with httpx.Client(base_url=address, timeout=_REQUEST_SECONDS) as client:
        answer = client.post(
            "/batches",
            content=batch_body(images, studies),
            headers={"content-type": "multipart/form-data; boundary=x"},
        )
        measured.accept_seconds = time.monotonic() - started
        measured.body_mb = sum(len(images[n % len(images)]) for n in range(studies)) / 1e6
        if answer.status_code != 202:
            measured.failed.append(f"batch: {answer.status_code} {answer.text[:200]}")
            return
        print(f"batch accepted after {measured.accept_seconds:.0f} s", flush=True)
        while True:
            batch = client.get(answer.headers["location"]).json()
            if batch["finished"]:
                break
            print(f"{batch['done']} studies, {max(measured.pss_mb):.0f} MB so far", flush=True)
            time.sleep(5)
    measured.done = batch["done"]
    measured.batch_seconds = time.monotonic() - started
    if measured.done != studies:
        measured.failed.append(f"{studies - measured.done} studies were not written")


@contextmanager
def served(index: Path, folder: Path, *, checkout: Path | None = None) -> Iterator[tuple[str, int]]:
    """A server of its own, of this code or that in ``checkout``; yields address and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve", str(index.absolute()), "--model", "none", "--port", str(port)]
    database = folder / "app.sqlite3"
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "api", *words, "--database", str(database.absolute())],
            cwd=checkout,
            stderr=log,
            stdout=log,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            while True:
                if server.poll() is not None:
                    sys.exit(f"no server: {(folder / 'server.log').read_text()}")
                with suppress(httpx.HTTPError):
                    if httpx.get(f"{address}/health/live").status_code == 200:
                        break
                time.sleep(0.2)
            yield address, server.pid
        finally:
            server.terminate()
            server.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--height", type=int, default=3000, help="of an image of the batch")
    parser.add_argument("--most-mb", type=float, default=3500.0)
    parser.add_argument("--out", type=Path, help="write the figures there, as JSON")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        served(arguments.index, Path(name)) as (
            address,
            pid,
        ),
    ):
        measured = measure(
            address,
            pid,
            files=range(arguments.files),
            studies=arguments.studies,
            height=arguments.height,
        )
        load = os.getloadavg()
    summary = measured.summary(arguments.most_mb)
    summary |= {"load_average_at_the_end": [round(one, 1) for one in load]}
    print(json.dumps(summary, indent=1))
    if arguments.out is not None:
        answers = [
            {"file": one[0], "route": one[1], "status": one[2], "seconds": round(one[3], 1)}
            for one in measured.answers
        ]
        arguments.out.write_text(json.dumps(summary | {"answers": answers}, indent=1) + "\n")
    over = max(measured.pss_mb, default=0.0) > arguments.most_mb
    return 1 if over or measured.failed else 0


if __name__ == "__main__":
    sys.exit(main())
