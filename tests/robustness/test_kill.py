"""kill -9 under load, the short form of tests/robustness/kill.py: invented cases, the real
database; and a study that ends the server by itself."""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import ClassVar

import httpx
import uvicorn

from api.pipeline.backends import BackendRequest, ExtractiveBackend, Output
from api.pipeline.jobs import JobRunner
from db.app.database import AppDatabase
from db.app.jobs.store import ATTEMPTS
from db.app.jobs.study import JobImage
from db.engines.engine import held
from tests.robustness.kill import Server, run, start
from tests.support.service.clients import images, settled
from tests.support.service.records import a_study, accept
from tests.support.service.services import a_digest, a_png, an_app, write_report

POISON = a_png(99, size=(64, 64))


class DrawnServer:
    """A service that needs no index."""

    imports: ClassVar[Sequence[str]] = (__name__,)
    writer: ClassVar[ExtractiveBackend] = ExtractiveBackend(write_report)
    max_batch: ClassVar[int] = 8

    def __call__(self, database: Path, port: int) -> None:
        with held(database):
            app = an_app(database.parent, backend=self.writer, max_batch=self.max_batch)
            uvicorn.run(app, port=port, ws="none")


class Slow(ExtractiveBackend):
    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        time.sleep(0.05 * len(writings))
        return super().write(writings)


class SlowServer(DrawnServer):
    writer = Slow(write_report)
    max_batch = 2


class Poisoned(ExtractiveBackend):
    """One image ends the process, as a defect of a native library does."""

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        if any(
            image.sha256 == a_digest(POISON) for writing in writings for image in writing.images
        ):
            os._exit(1)
        return super().write(writings)


class PoisonedServer(DrawnServer):
    writer = Poisoned(write_report)

    def __call__(self, database: Path, port: int) -> None:
        JobRunner.suspect_delay = 0.01
        super().__call__(database, port)


@contextmanager
def running(server: Server, tmp_path: Path) -> Iterator[tuple[BaseProcess, str]]:
    """A process that may have ended again, and its address."""
    process, address = start(server, tmp_path / "app.sqlite3", tmp_path / "server.log")
    try:
        while process.is_alive():
            with suppress(httpx.TransportError):
                httpx.get(f"{address}/health/live")
                break
            time.sleep(0.05)
        yield process, address
    finally:
        process.kill()
        process.join()


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    images = [a_png(seed, size=(96, 80)) for seed in range(20, 32)]
    outcome = run(DrawnServer(), images, tmp_path, kills=1, seed=3, clients=4, longest=1.0)
    assert outcome.good, outcome
    assert outcome.kills == 1
    assert outcome.acknowledged.made and outcome.acknowledged.accepted


def test_a_batch_survives_kill_9(tmp_path: Path) -> None:
    with running(SlowServer(), tmp_path) as (process, address):
        answer = httpx.post(f"{address}/batches", files=images(*range(20)))
        assert answer.status_code == 202
        batch = answer.headers["location"]
        acknowledged = httpx.post(f"{address}/reports", files=images(50)).json()
        while httpx.get(f"{address}{batch}").json()["done"] < 3:
            time.sleep(0.02)
        process.kill()
        process.join()
    with (
        running(SlowServer(), tmp_path) as (_, address),
        httpx.Client(base_url=address) as client,
    ):
        done = settled(client, batch)
        assert done["done"] == 20
        assert client.get("/generations").json()["total"] == 21
        assert client.get(f"/generations/{acknowledged['id']}").json() == acknowledged
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        database.audit.verify()
        reports = [e.details["generation"] for e in database.audit if e.action == "report"]
    assert len(reports) == len(set(reports)) == 21
    with closing(sqlite3.connect(tmp_path / "app.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_only_the_study_that_ends_the_server_each_time_fails(tmp_path: Path) -> None:
    image = JobImage(png=POISON, view_position="PA", notes=())
    poison, *innocent = (replace(a_study(), images=(image,)), a_study(), a_study())
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        accept(database, [poison, *innocent])
    ends = 0
    while True:
        with (
            running(PoisonedServer(), tmp_path) as (process, address),
            httpx.Client(base_url=address) as client,
        ):
            try:
                found = [
                    settled(client, f"/generations/{study.generation_id}")["status"]
                    for study in (poison, *innocent)
                ]
            except httpx.TransportError:
                ends += 1
                assert ends <= ATTEMPTS
                process.join()
                continue
        assert found == ["failed", "done", "done"]
        assert ends == ATTEMPTS
        return
