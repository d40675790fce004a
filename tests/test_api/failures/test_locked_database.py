"""A database that another program holds: requests wait, and accepted work is not lost."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy.exc import OperationalError

from api.pipeline.jobs import JobRunner
from api.pipeline.readiness import Readiness
from db.app.jobs.store import JobStore
from tests.support.service.clients import LATER, settled
from tests.support.service.services import a_png, an_app
from tests.support.service.writers import Gate

RADIOGRAPH = {"images": ("a.png", a_png(1, size=(64, 64)))}


@pytest.fixture(autouse=True)
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Readiness, "lock_seconds", 0.1)
    monkeypatch.setattr(Readiness, "fresh_seconds", 0.0)
    monkeypatch.setattr(JobRunner, "pause", 0.05)


@contextmanager
def serving(tmp_path: Path, seconds: float, **parts: Any) -> Iterator[TestClient[Any]]:
    """``seconds``: how long a request waits for the database."""
    app = an_app(tmp_path, database_seconds=seconds, **parts)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@contextmanager
def another_program(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """It holds the write lock until it rolls back."""
    path = tmp_path / "app.sqlite3"
    with closing(sqlite3.connect(path, timeout=10, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def test_a_request_waits_for_the_database_until_the_lock_timeout(tmp_path: Path) -> None:
    with serving(tmp_path, 0.2) as client, another_program(tmp_path) as other:
        refused = client.post("/reports", files=RADIOGRAPH)
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
        assert "database is locked" in refused.json()["detail"]
        other.rollback()
        assert client.post("/reports", files=RADIOGRAPH).status_code == 201
    with serving(tmp_path, 60) as client, another_program(tmp_path) as other:
        threading.Timer(0.3, other.rollback).start()
        assert client.post("/reports", files=RADIOGRAPH).status_code == 201
        assert client.get("/generations").json()["total"] == 2


def test_a_service_that_cannot_store_is_alive_but_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path, 0.2) as client:
        with another_program(tmp_path):
            unready = client.get("/health/ready")
            assert unready.status_code == 503 and unready.headers["retry-after"]
            assert "cannot be written to" in unready.json()["detail"]
            assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 200


def test_accepted_work_continues_when_the_database_is_writable_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    with serving(tmp_path, 0.1, backend=gate) as client:
        accepted = client.post("/reports", files=RADIOGRAPH, headers=LATER)
        assert accepted.status_code == 202 and gate.reached.wait(60)
        with another_program(tmp_path):
            gate.open.set()
            until = time.monotonic() + 60
            while "jobs are waiting" not in caplog.text:
                assert time.monotonic() < until
                time.sleep(0.02)
        report = settled(client, accepted.headers["location"])
        assert report["status"] == "done" and report["statements"]
        assert client.post("/reports", files=RADIOGRAPH).status_code == 201


def test_a_lock_when_a_report_is_finished_delays_its_job_and_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    finish, calls = JobStore.finish, []

    def locked_once(*arguments: Any, **named: Any) -> bool:
        calls.append(arguments)
        if len(calls) == 1:
            locked = sqlite3.OperationalError("database is locked")
            locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise OperationalError("BEGIN IMMEDIATE", None, locked)
        return finish(*arguments, **named)

    monkeypatch.setattr(JobStore, "finish", locked_once)
    with serving(tmp_path, 60) as client:
        accepted = client.post("/reports", files=RADIOGRAPH, headers=LATER)
        report = settled(client, accepted.headers["location"])
    assert report["status"] == "done" and len(calls) == 2
    assert caplog.text.count("jobs are waiting") == 1
