"""Many clients against a running service: throughput, latency, and that nothing is mixed up.

    python -m api serve data/index --model pretrained/generator --rate 100000 &
    python -m tests.robustness.load closed --images images/*.png --clients 64 --seconds 300
    python -m tests.robustness.load closed --images images/*.png --clients 1 --seconds 120 \
        # nobody to batch
    python -m tests.robustness.load open --images images/*.png --path /searches --rate 2 \
        --seconds 120
    python -m tests.robustness.load open --case openi:1 --path /searches --rate 20 --seconds 60

``closed``: every client sends its next image when it has its answer; at the end a sample of the
images is sent again one by one, and hits and sentences must be identical. ``open``: requests come
at a given rate whatever happens; what is refused must be refused within a second and with
Retry-After. Any other status than these, or a broken connection, fails the measurement too.
Every request brings another file; give as many images as there may be requests, so that no two show
the same pixels. ``--pid`` also prints the processor time that the server took for an answer, which
is much the same whatever else the machine does.
"""

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

PATHS = ("/reports", "/answers", "/classifications", "/captions", "/searches")

Answer = tuple[int, float, dict[str, Any], bool]
"""Status (0 where the connection broke), seconds, document, whether Retry-After was there."""


async def ask(client: aiohttp.ClientSession, arguments: argparse.Namespace, image: bytes) -> Answer:
    form = aiohttp.FormData(default_to_multipart=True)
    if arguments.case:
        form.add_field("case", arguments.case)
    else:
        form.add_field("images", image, filename="image")
    if arguments.path == "/answers":
        form.add_field("question", arguments.question)
    began = time.monotonic()
    try:
        async with client.post(arguments.path, data=form) as answer:
            content = await answer.read()
    except aiohttp.ClientError:
        return 0, time.monotonic() - began, {}, False
    took = time.monotonic() - began
    document = json.loads(content) if answer.status in (200, 201) else {}
    return answer.status, took, document, "retry-after" in answer.headers


def distinct(images: Sequence[bytes], number: int) -> bytes:
    """An image, made another file by bytes that a decoder passes over; pixels stay."""
    if not images:
        return b""
    return images[number % len(images)] + hashlib.sha256(str(number).encode()).digest()


async def closed(arguments: argparse.Namespace, images: Sequence[bytes]) -> int:
    answers: list[tuple[int, Answer]] = []
    until = time.monotonic() + arguments.seconds
    async with session(arguments) as client:

        async def one(first: int) -> None:
            number = first
            while number == first or time.monotonic() < until:
                answers.append((number, await ask(client, arguments, distinct(images, number))))
                number += arguments.clients

        with measured(arguments.pid) as spent:
            await asyncio.gather(*(one(number) for number in range(arguments.clients)))
        report([answer for _, answer in answers], spent)
        good = [(n, a[2]) for n, a in answers if a[0] in (200, 201)]
        mixed = 0
        for number, document in good[:: max(1, len(good) // arguments.sample)]:
            again = (await ask(client, arguments, distinct(images, number)))[2]
            mixed += content_of(again) != content_of(document)
        lost = 0
        if arguments.path != "/searches":
            for _, document in good:
                async with client.get(f"/generations/{document['id']}") as stored:
                    lost += stored.status != 200 or await stored.json() != document
    print(f"mixed up {mixed}, lost {lost}")
    return 1 if mixed or lost or len(good) < len(answers) else 0


async def open_loop(arguments: argparse.Namespace, images: Sequence[bytes]) -> int:
    total = int(arguments.rate * arguments.seconds)
    async with session(arguments) as client:
        start = time.monotonic()

        async def one(number: int) -> Answer:
            await asyncio.sleep(max(0.0, start + number / arguments.rate - time.monotonic()))
            return await ask(client, arguments, distinct(images, number))

        with measured(arguments.pid) as spent:
            answers = await asyncio.gather(*(one(number) for number in range(total)))
    report(answers, spent)
    late = [a for a in answers if a[0] == 503 and (a[1] > 1 or not a[3])]
    print(f"refused late or without Retry-After: {len(late)}")
    failed = [a for a in answers if a[0] not in (200, 201, 503)]
    return 1 if late or failed else 0


def hits(document: dict[str, Any]) -> list[tuple[Any, float]]:
    """Cases in order with their scores; the fifth decimal depends on who is in the batch."""
    cases = [(h.get("case"), h["score"]) for h in document.get("hits", [])]
    return [(c["case"] if isinstance(c, dict) else c, round(score, 4)) for c, score in cases]


def content_of(document: dict[str, Any]) -> tuple[Any, list[str]]:
    """Hits and sentences of a generation."""
    return hits(document), [one["text"] for one in document.get("statements", [])]


@dataclass(kw_only=True)
class Spent:
    """From the first request to the last answer."""

    seconds: float = 0.0
    processor: float | None = None
    """Seconds of the server on all cores."""


@contextmanager
def measured(pid: int | None) -> Iterator[Spent]:
    spent, began, used = Spent(), time.monotonic(), processor_seconds(pid)
    yield spent
    spent.seconds = time.monotonic() - began
    now = processor_seconds(pid)
    spent.processor = None if now is None or used is None else now - used


def processor_seconds(pid: int | None) -> float | None:
    """Of all threads of a process so far."""
    if pid is None:
        return None
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(answers: Sequence[Answer], spent: Spent) -> None:
    statuses = Counter(answer[0] for answer in answers)
    took = sorted(answer[1] for answer in answers if answer[0] in (200, 201))
    print("answers", dict(statuses))
    if len(took) > 1:
        p95 = statistics.quantiles(took, n=20)[-1]
        print(
            f"{len(took) / spent.seconds:.2f} a second; median {statistics.median(took):.3f} s, "
            f"p95 {p95:.3f} s, slowest {took[-1]:.3f} s"
        )
    refused = sorted(answer[1] for answer in answers if answer[0] == 503)
    if refused:
        print(f"refused: median {statistics.median(refused):.3f} s, slowest {refused[-1]:.3f} s")
    if took and spent.processor is not None:
        print(f"{spent.processor / len(took):.3f} s of the server's processor time an answer")


def session(arguments: argparse.Namespace) -> aiohttp.ClientSession:
    """As many connections as there are requests under way. The client has a share of the cores that
    it measures: httpx took so much with hundreds of them open that it measured itself."""
    return aiohttp.ClientSession(
        arguments.address,
        headers={"authorization": f"Bearer {arguments.key}"} if arguments.key else {},
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=600),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("closed", "open"))
    parser.add_argument("--images", type=Path, nargs="+", default=[])
    parser.add_argument("--case", help="a stored case to search with, in place of images")
    parser.add_argument("--question", default="Is the heart enlarged?", help="for /answers")
    parser.add_argument("--address", default="http://127.0.0.1:8000")
    parser.add_argument("--path", choices=PATHS, default="/reports")
    parser.add_argument("--key", help="an API key")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--pid", type=int, help="of the server")
    parser.add_argument("--sample", type=int, default=50, help="images sent again one by one")
    arguments = parser.parse_args()
    if not arguments.images and not arguments.case:
        parser.error("name images with --images, or a stored case with --case")
    images = [path.read_bytes() for path in arguments.images]
    run = closed if arguments.kind == "closed" else open_loop
    return asyncio.run(run(arguments, images))


if __name__ == "__main__":
    sys.exit(main())
