"""Accepted studies through stops, crashes and kills of the server."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from litestar.testing import TestClient

from api.pipeline.backends import BackendRequest, ExtractiveBackend, Output
from api.pipeline.jobs import JobRunner
from db.app.database import AppDatabase
from db.app.jobs.store import JobStore
from db.app.jobs.study import JobStudy
from tests.support.service.clients import HTTP, images, settled
from tests.support.service.records import a_study, accept
from tests.support.service.services import an_app, database_at, write_report
from tests.support.service.writers import Gate

pytestmark = pytest.mark.usefixtures("each_engine")


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def test_a_shutdown_parks_running_studies_and_the_next_start_finishes_them(
    tmp_path: Path, gate: Gate
) -> None:
    with TestClient(an_app(tmp_path, backend=gate, max_batch=2), base_url=HTTP) as client:
        address = client.post("/batches", files=images(1, 2, 3)).headers["location"]
        assert gate.reached.wait(60)
        threading.Timer(0.2, gate.open.set).start()
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        assert settled(client, address)["done"] == 3
        assert client.get("/generations").json()["total"] == 3


def left_by_a_crash(tmp_path: Path, count: int) -> list[str]:
    """Ids of studies that were under way when a server ended."""
    with AppDatabase.open(database_at(tmp_path)) as database:
        studies = [a_study() for _ in range(count)]
        accept(database, studies)
        assert len(database.jobs.claim(count)) == count
        return [str(study.generation_id) for study in studies]


class Sizes(ExtractiveBackend):
    """Remembers how many were written about at a time, and takes its time."""

    def __init__(self) -> None:
        super().__init__(write_report)
        self.sizes: list[int] = []

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        self.sizes.append(len(writings))
        time.sleep(0.1)
        yield from super().write(writings)


def test_studies_that_ran_when_the_server_ended_are_retried_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobRunner, "suspect_delay", 0.0)
    left, sizes = left_by_a_crash(tmp_path, 3), Sizes()
    with TestClient(an_app(tmp_path, backend=sizes), base_url=HTTP) as client:
        batch = client.post("/batches", files=images(1, 2, 3)).headers["location"]
        for key in left:
            settled(client, f"/generations/{key}")
        assert sizes.sizes[:3] == [1, 1, 1]
        assert settled(client, batch)["done"] == 3


def test_a_server_that_soon_ends_again_suspects_no_study_and_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (left,) = left_by_a_crash(tmp_path, 1)
    monkeypatch.setattr(JobRunner, "suspect_delay", 3600.0)
    for _ in range(2):
        with TestClient(an_app(tmp_path), base_url=HTTP) as client:
            batch = client.post("/batches", files=images(1)).headers["location"]
            assert settled(client, batch)["done"] == 1
            assert client.get(f"/generations/{left}").status_code == 202
    with AppDatabase.open(database_at(tmp_path)) as database:
        assert database.jobs.suspicion() == 1
    monkeypatch.setattr(JobRunner, "suspect_delay", 0.2)
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        assert settled(client, f"/generations/{left}")["status"] == "done"


def test_an_error_of_any_kind_does_not_end_the_work_on_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    claim, failures = JobStore.claim, [ZeroDivisionError(), KeyError()]

    def failing(store: JobStore, count: int) -> list[JobStudy]:
        if failures:
            raise failures.pop()
        return claim(store, count)

    monkeypatch.setattr(JobStore, "claim", failing)
    monkeypatch.setattr(JobRunner, "pause", 0.0)
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        batch = client.post("/batches", files=images(1)).headers["location"]
        assert settled(client, batch)["done"] == 1
    assert caplog.text.count("the work on jobs starts again") == 2
