"""A server killed at random moments under load: nothing that it acknowledged may be lost.

    python -m tests.robustness.kill data/index --images images/*.png --kills 50 --seed 1

Clients ask for reports at once, later and in batches. The server is killed with SIGKILL; then the
database must pass its integrity check and the audit log its own, and the next server must hold
every report that was answered with 201, word for word. At the end every study that was answered
with 202 must be done. Options of the server go behind ``--``: ``-- --model pretrained/generator``.
Every server is a process of its own, forked from one that has done the imports, which would take
most of the time otherwise.
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import socket
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar, Protocol

import httpx

from api.__main__ import main as api
from db.app.database import AppDatabase
from db.engines.location import Location
from db.errors import UserError

STANDSTILL = 120.0
"""Seconds without any study done after which the last server is taken to do no more."""


class Server(Protocol):
    """What is run in a process of its own, and killed."""

    imports: ClassVar[Sequence[str]]
    """Modules that it needs, imported once for all processes."""

    def __call__(self, database: Any, port: int) -> None:
        """Serve the loopback address with a database, the path of a SQLite file unless said
        otherwise."""


@dataclass(frozen=True, kw_only=True)
class IndexServer:
    """The service as ``python -m api serve`` runs it."""

    imports: ClassVar[Sequence[str]] = (api.__module__, "indexer.encoder.folder")
    index: Path
    options: Sequence[str]

    def __call__(self, database: Path, port: int) -> None:
        command = ["serve", str(self.index.resolve()), "--port", str(port), "--model", "none"]
        sys.exit(api([*command, "--database", str(database), *self.options]))


@dataclass(kw_only=True)
class Acknowledged:
    """The server's answers to the clients."""

    documents: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    """Id of a generation to the document that came with a 201, or None where a 202 promised it."""
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def made(self) -> list[str]:
        return [key for key, document in self.documents.items() if document is not None]

    @property
    def accepted(self) -> list[str]:
        return [key for key, document in self.documents.items() if document is None]


@dataclass(kw_only=True)
class Outcome:
    """What was found wrong; all empty where all is well."""

    acknowledged: Acknowledged
    kills: int = 0
    compared: int = 0
    """How many of these were looked for after a kill."""
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.lost or self.damaged or self.unfinished)


def run(
    server: Server,
    images: Sequence[bytes],
    work_dir: Path,
    *,
    kills: int,
    seed: int,
    clients: int = 8,
    longest: float = 3.0,
) -> Outcome:
    """``longest``: seconds of load before a kill, at most; the moment is drawn from the seed."""
    return asyncio.run(_run(server, images, work_dir, kills, random.Random(seed), clients, longest))


async def _run(
    server: Server,
    images: Sequence[bytes],
    work_dir: Path,
    kills: int,
    draw: random.Random,
    clients: int,
    longest: float,
) -> Outcome:
    database = work_dir / "app.sqlite3"
    outcome = Outcome(acknowledged=Acknowledged())
    for number in range(kills + 1):
        last = number == kills
        process, address = start(server, database, work_dir / "server.log")
        try:
            async with httpx.AsyncClient(base_url=address, timeout=60) as client:
                await _ready(client, process)
                if last:
                    outcome.compared = 0  # all of them, once more
                await _compare(client, outcome)
                if last:
                    await _finish(client, outcome)
                    break
                before = len(outcome.acknowledged.made), len(outcome.acknowledged.accepted)
                load = [
                    asyncio.create_task(
                        _ask(client, images, random.Random(draw.random()), outcome.acknowledged)
                    )
                    for _ in range(clients)
                ]
                await _something(load, outcome.acknowledged, *before)
                await asyncio.sleep(draw.uniform(0.0, longest))
                process.kill()
                process.join()
                outcome.kills += 1
                for task in load:
                    task.cancel()
                await asyncio.gather(*load, return_exceptions=True)
        finally:
            process.kill()
            process.join()
        _check_file(database, outcome)
        print(f"kill {outcome.kills}: {dict(outcome.acknowledged.answers)}", flush=True)
    _check_file(database, outcome)
    return outcome


def start(
    server: Server, database: Location, log: Path, *, port: int | None = None
) -> tuple[BaseProcess, str]:
    """The process of a server, which may not answer yet, and its address; by default its port is a
    free one."""
    port = port or free_port()
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(list(server.imports))
    process = forking.Process(target=_serve, args=(server, database, port, log))
    process.start()
    return process, f"http://127.0.0.1:{port}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(server: Server, database: Location, port: int, log: Path) -> None:
    with log.open("ab") as stream:
        for standard in (sys.stdout, sys.stderr):
            os.dup2(stream.fileno(), standard.fileno())
    server(database, port)


async def _ready(client: httpx.AsyncClient, process: BaseProcess) -> None:
    until = time.monotonic() + 600
    while True:
        with suppress(httpx.TransportError):
            if (await client.get("/health/live")).status_code == 200:
                return
        if not process.is_alive() or time.monotonic() > until:
            raise SystemExit("error: the server did not start: see server.log")
        await asyncio.sleep(0.1)


async def _something(
    load: Sequence[asyncio.Task[None]], acknowledged: Acknowledged, made: int, accepted: int
) -> None:
    """Until this server, too, has something to lose: a report that it gave, and one that it
    promised."""
    while not all(task.done() for task in load):
        if len(acknowledged.made) > made and len(acknowledged.accepted) > accepted:
            return
        await asyncio.sleep(0.02)


async def _ask(
    client: httpx.AsyncClient,
    images: Sequence[bytes],
    draw: random.Random,
    acknowledged: Acknowledged,
) -> None:
    """Until the server is gone."""
    with suppress(httpx.TransportError):
        while True:
            image = ("images", ("image", draw.choice(images)))
            how = draw.choice(("report", "report", "later", "batch"))
            if how == "batch":
                answer = await client.post("/batches", files=[image] * 3)
            else:
                headers = {"prefer": "respond-async"} if how == "later" else {}
                answer = await client.post("/reports", files=[image], headers=headers)
            acknowledged.answers[f"{how} {answer.status_code}"] += 1
            document = answer.json()
            if answer.status_code == 201:
                acknowledged.documents[document["id"]] = document
            elif answer.status_code == 202:
                studies = document.get("studies", [{"generation": document["id"]}])
                acknowledged.documents |= {study["generation"]: None for study in studies}
            elif answer.status_code == 503:
                await asyncio.sleep(0.2)


async def _compare(client: httpx.AsyncClient, outcome: Outcome) -> None:
    """What somebody was given must be stored as it was given, what was promised must be known.

    Whatever a server after an earlier kill was seen to have is asked for again at the end alone.
    """
    documents = list(outcome.acknowledged.documents.items())
    for key, document in documents[outcome.compared :]:
        answer = await client.get(f"/generations/{key}")
        whole = answer.status_code == 200 and document in (None, answer.json())
        if not whole and (document is not None or answer.status_code != 202):
            outcome.lost.append(key)
    outcome.compared = len(documents)


async def _finish(client: httpx.AsyncClient, outcome: Outcome) -> None:
    """Until every promised study has ended, or none has for ``STANDSTILL`` seconds."""
    waiting = set(outcome.acknowledged.accepted)
    moved = time.monotonic()
    while waiting and time.monotonic() - moved < STANDSTILL:
        for key in list(waiting):
            answer = await client.get(f"/generations/{key}")
            if answer.status_code == 200:
                moved = time.monotonic()
                waiting.discard(key)
                if answer.json()["status"] != "done":
                    outcome.unfinished.append(f"{key}: {answer.json()['detail']}")
        await asyncio.sleep(0.2)
    outcome.unfinished += sorted(waiting)


def _check_file(database: Path, outcome: Outcome) -> None:
    with closing(sqlite3.connect(database)) as connection:
        (ood,) = connection.execute("PRAGMA integrity_check").fetchone()
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    if ood != "ok" or orphans:
        outcome.damaged.append(f"after kill {outcome.kills}: {ood}, {len(orphans)} orphans")
    try:
        with AppDatabase.open(database) as opened:
            opened.audit.verify()
    except UserError as error:
        outcome.damaged.append(f"after kill {outcome.kills}: {error}")


def split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What stands before ``--`` and what stands behind it."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        usage="%(prog)s INDEX --images IMAGE ... [--kills N] [-- OPTIONS OF THE SERVER]",
    )
    parser.add_argument("index", type=Path)
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--longest", type=float, default=3.0, help="seconds of load before a kill")
    ours, behind = split(sys.argv[1:])
    arguments = parser.parse_args(ours)
    images = [path.read_bytes() for path in arguments.images]
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(
            IndexServer(index=arguments.index, options=behind),
            images,
            Path(folder),
            kills=arguments.kills,
            seed=arguments.seed,
            clients=arguments.clients,
            longest=arguments.longest,
        )
    acknowledged = outcome.acknowledged
    made, accepted = len(acknowledged.made), len(acknowledged.accepted)
    print(f"{outcome.kills} kills; {made} reports given, {accepted} promised")
    for what in ("lost", "damaged", "unfinished"):
        found = getattr(outcome, what)
        print(f"{what}: {len(found)}", *found[:5])
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
