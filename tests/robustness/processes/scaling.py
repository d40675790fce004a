"""How much more several processes serve than one, with an engine that takes a second for a text.

    python -m tests.robustness.processes.scaling --clients 64 --out results/scaling.json

Each process writes four texts at a time, as one whose model server takes four requests does. The
cases are drawn, so that the engine is the limit and not the processors of this machine.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx

from api.pipeline.backends import BackendRequest, ExtractiveBackend, Output
from db.app.database import AppDatabase
from db.engines.location import DatabaseUrl, parse_location
from tests.robustness.kill import free_port
from tests.robustness.processes.kills import Fleet, bearer, own_server
from tests.robustness.processes.proxy import proxy
from tests.robustness.processes.test_processes import DrawnProcess
from tests.support.service.services import a_png, write_report


class Engine(ExtractiveBackend):
    """Takes a second for each text, and four at a time."""

    batch_size = 1
    concurrency = 4

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        time.sleep(1.0)
        return super().write(writings)


class EngineProcess(DrawnProcess):
    imports = (__name__,)
    writer = Engine(write_report)
    limit = 1_000_000
    together = 1


def reports_per_second(
    database: DatabaseUrl, folder: Path, *, processes: int, clients: int, seconds: float
) -> tuple[float, Counter[int]]:
    """Measure, and count the answers by status."""
    with AppDatabase.open(database) as opened:
        name = f"clients-of-{processes}"
        key = opened.keys.add(name, ["generate"], at=datetime.now(UTC))
    fleet = Fleet(EngineProcess(), database, folder, count=processes)
    try:
        with proxy(folder, fleet.ports, listen=free_port()) as address:
            return asyncio.run(_measure(address, key, clients, seconds))
    finally:
        fleet.close()


async def _measure(
    address: str, key: str, clients: int, seconds: float
) -> tuple[float, Counter[int]]:
    image, answers = a_png(1, size=(64, 64)), Counter[int]()
    until = time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=address, timeout=120, headers=bearer(key)) as client:

        async def one() -> None:
            while time.monotonic() < until:
                answer = await client.post("/reports", files={"images": ("image", image)})
                answers[answer.status_code] += time.monotonic() < until
                if answer.status_code != 201:
                    await asyncio.sleep(0.2)

        await asyncio.gather(*(one() for _ in range(clients)))
    return answers[201] / seconds, answers


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--database", type=parse_location, help="an empty one; or a server is made")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path, help="write the figures there, as JSON")
    arguments = parser.parse_args()
    figures: dict[str, object] = {"clients": arguments.clients, "seconds": arguments.seconds}
    rates = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = arguments.database or stack.enter_context(own_server())
        for processes in (1, arguments.processes):
            rate, answers = reports_per_second(
                database,
                folder,
                processes=processes,
                clients=arguments.clients,
                seconds=arguments.seconds,
            )
            rates.append(rate)
            figures[f"{processes} processes"] = {
                "reports_per_second": round(rate, 2),
                "answers": dict(answers),
            }
    figures["ratio"] = round(rates[1] / rates[0], 2)
    print(json.dumps(figures, indent=1))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if rates[1] >= 2.5 * rates[0] else 1


if __name__ == "__main__":
    sys.exit(main())
