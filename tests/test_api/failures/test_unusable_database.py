"""A database without room, that is read-only, or gone: a 503 for each request, and not ready."""

import os
import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import Engine, event

from api.pipeline.images import ImageReading
from api.pipeline.readiness import Readiness
from db.engines.sqlite import open_sqlite
from tests.support.service.clients import HTTP, LATER, STREAM, a_message, images, parsed
from tests.support.service.services import a_png, an_app

Client = TestClient[Any]
ONE = images(1)


@pytest.fixture
def pragmas(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What every connection is told before it is used."""
    told: list[str] = []

    def opened(*arguments: Any, **named: Any) -> Engine:
        engine = open_sqlite(*arguments, **named)

        @event.listens_for(engine, "checkout")
        def _tell(connection: sqlite3.Connection, *_: object) -> None:
            for pragma in told:
                connection.execute(pragma)

        return engine

    monkeypatch.setattr("db.engines.database_file.open_sqlite", opened)
    monkeypatch.setattr(Readiness, "fresh_seconds", 0.0)
    return told


@pytest.fixture
def client(tmp_path: Path, pragmas: list[str]) -> Iterator[Client]:
    with TestClient(an_app(tmp_path), base_url=HTTP, raise_server_exceptions=False) as client:
        yield client


def refused(answer: Any, reason: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert reason in answer.json()["detail"]


def test_a_full_disk_is_a_503_on_every_way_to_store(
    client: Client, pragmas: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.post("/reports", files=ONE).headers["location"]
    assert client.get("/health/ready").status_code == 200
    pragmas.append("PRAGMA max_page_count = 1")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 0))
    full = "database or disk is full"
    while client.post("/reports", files=ONE).status_code == 201:
        pass  # into the pages that are there already
    refused(client.post("/reports", files=ONE), full)
    large = {"images": ("a.png", a_png(1))}
    refused(client.post("/reports", files=large, headers=LATER), full)
    refused(client.post("/batches", files=large), full)
    chat = {"model": "grounded-cxr", "messages": [a_message(a_png(1, size=(64, 64)))]}
    answer = client.post("/v1/chat/completions", json=chat)
    refused(answer, full)
    assert answer.json()["error"]["code"] == "503"
    events = parsed(client.post("/reports", files=ONE, headers=STREAM).text)
    assert (events[-1][0], events[-1][1]["status"]) == ("problem", 503)
    refused(client.get("/health/ready"), "the disk is full")
    assert client.get("/health/live").status_code == client.get(made).status_code == 200
    pragmas[:] = ["PRAGMA max_page_count = 1000000"]
    monkeypatch.undo()
    assert client.post("/reports", files=ONE).status_code == 201
    assert client.get("/health/ready").status_code == 200


def test_a_read_only_database_is_still_read(client: Client, pragmas: list[str]) -> None:
    made = client.post("/reports", files=ONE).headers["location"]
    pragmas.append("PRAGMA query_only = ON")
    refused(client.post("/reports", files=ONE), "readonly")
    refused(client.delete(made), "readonly")
    refused(client.get("/health/ready"), "readonly")
    assert client.get(made).status_code == 200
    pragmas[:] = ["PRAGMA query_only = OFF"]
    assert client.post("/reports", files=ONE).status_code == 201
    assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("other", [False, True], ids=["gone", "replaced"])
def test_nothing_is_written_to_a_database_that_nobody_will_find(
    client: Client, tmp_path: Path, other: bool
) -> None:
    path, away = tmp_path / "app.sqlite3", tmp_path / "away.sqlite3"
    made = client.post("/reports", files=ONE).headers["location"]
    path.rename(away)
    if other:
        path.touch()
    reason = "database file was replaced" if other else "database file is gone"
    refused(client.post("/reports", files=ONE), reason)
    refused(client.get(made), reason)
    refused(client.get("/health/ready"), reason)
    assert client.get("/health/live").status_code == client.get("/health").status_code == 200
    assert path.exists() == other and (not other or path.stat().st_size == 0)
    away.replace(path)
    assert client.get(made).status_code == 200
    assert client.post("/reports", files=ONE).status_code == 201
    assert client.get("/generations").json()["total"] == 2


def test_a_full_disk_outside_the_database_is_a_503_and_another_error_is_a_defect(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, status in ((28, 503), (30, 503), (24, 503), (2, 500)):
        error = OSError(number, os.strerror(number), "/a/secret/place")

        async def fail(*_: object, error: OSError = error) -> None:
            raise error

        monkeypatch.setattr(ImageReading, "read_with_prior", fail)
        answer = client.post("/reports", files=ONE)
        assert answer.status_code == status and "secret" not in answer.text


def test_one_look_serves_all_probes_for_a_second(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Readiness, "fresh_seconds", 3600.0)
    looks = []
    monkeypatch.setattr("db.app.database.AppDatabase.check", lambda *_, **__: looks.append(1))
    for _ in range(5):
        assert client.get("/health/ready").status_code == 200
    assert len(looks) == 1
