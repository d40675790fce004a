"""Reads and refused keys: each is in the audit log a moment later, and the log stays intact."""

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.middleware import audit_queue
from api.middleware.audit_queue import AuditQueue, Refusal
from api.pipeline.readiness import Readiness
from db.app.audit_log import AuditEntry, AuditLog, NewEntry
from db.app.database import AppDatabase
from db.engines.engine import DatabaseFailure
from db.errors import UnavailableError
from tests.support.service.clients import HTTP, images
from tests.support.service.services import NOW, FakeRetriever, a_case, a_png, an_app

Client = TestClient[Any]
NEVER = 3600.0


def entries(tmp_path: Path) -> list[AuditEntry]:
    """All of an intact log; what a server adds meanwhile comes after those that are verified."""
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        verified = database.audit.verify().number
        return list(database.audit)[:verified]


def an_app_with_an_image(tmp_path: Path, **settings: Any) -> Litestar:
    (tmp_path / "case.png").write_bytes(a_png(7, size=(64, 64)))
    cases = [a_case(1, images=[tmp_path / "case.png"]), a_case(2), a_case(3)]
    return an_app(tmp_path, FakeRetriever(cases), **settings)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written before the server stops."""
    monkeypatch.setattr(audit_queue, "SECONDS", NEVER)


@pytest.mark.usefixtures("waiting")
def test_every_route_that_shows_a_generation_case_or_image_enters_it(tmp_path: Path) -> None:
    app = an_app_with_an_image(tmp_path)
    with TestClient(app, base_url=HTTP) as client:
        made = client.post("/reports", files=images(1)).json()
        address = f"/generations/{made['id']}"
        asked = set()
        for route in app.routes:
            if not route.path.startswith(("/generations", "/cases")) or "GET" not in route.methods:
                continue
            path = route.path.replace("{generation_id:uuid}", made["id"])
            path = path.replace("{key:str}", "drawn:s1").replace("{number:int}", "1")
            headers = {"x-request-id": f"{len(asked):08}"}
            is_map = path.endswith(("/map", "/regions"))
            params = {"observation": "Edema"} if is_map else None
            assert client.get(path, headers=headers, params=params).status_code == 200, path
            asked.add(headers["x-request-id"])
        client.post(f"{address}/pdf", files=images(1))
    shown = {entry.request_id: entry for entry in entries(tmp_path) if entry.action != "report"}
    assert len(asked) == 10 and asked <= set(shown)
    found = [(entry.action, dict(entry.details)) for entry in shown.values()]
    generation = {"generation": made["id"]}
    assert ("generations listed", {"generations": [made["id"]]}) in found
    assert ("generation read", generation) in found and ("feedback read", generation) in found
    assert ("case read", {"case": "drawn:s1"}) in found
    assert ("case image read", {"case": "drawn:s1", "image": 1}) in found
    exported = [details for action, details in found if action == "generation exported"]
    kinds = [details["media_type"] for details in exported]
    assert sorted(kinds) == [
        *("application/dicom", "application/fhir+json", "application/pdf", "application/pdf"),
        "image/png",
    ]
    assert [one["images_sha256"] for one in exported].count(made["images_sha256"]) == 1
    assert {entry.caller for entry in shown.values()} == {"local"}


@pytest.mark.usefixtures("waiting")
def test_what_was_not_shown_is_not_entered(tmp_path: Path) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    with TestClient(an_app_with_an_image(tmp_path), base_url=HTTP) as client:
        for path in (f"generations/{unknown}", f"generations/{unknown}/pdf", "cases/drawn:none"):
            assert client.get(path).status_code == 404
        assert client.get("/cases/drawn:s2/images/1").status_code == 404
        assert client.get("/generations").json()["total"] == 0
    assert entries(tmp_path) == []


@pytest.mark.usefixtures("waiting")
def test_every_refused_key_is_entered_with_its_name_and_the_reason(tmp_path: Path) -> None:
    with TestClient(an_app(tmp_path, require_keys=True), base_url=HTTP) as client:
        with AppDatabase.open(tmp_path / "app.sqlite3") as database:
            ward = database.keys.add("ward", ["read"], at=NOW)
            old = database.keys.add("old", ["read"], at=NOW)
            database.keys.revoke("old", at=NOW)

        def status(key: str, method: str = "GET", path: str = "/generations") -> int:
            headers = {"authorization": f"Bearer {key}"}
            return client.request(method, path, headers=headers).status_code

        wrong = f"{ward[:17]}{'A' * 43}"
        assert [status(old), status(wrong), status("nonsense")] == [401] * 3
        assert [status(ward, "POST", "/index/reload") for _ in range(5)] == [403] * 5
        assert client.get("/generations").status_code == 401  # no key, so none was refused
        assert status(old, path="/health") == 200
    refused = [entry for entry in entries(tmp_path) if entry.action == "key refused"]
    assert [(entry.caller, entry.details["reason"]) for entry in refused] == [
        ("old", "revoked"),
        ("ward", "wrong secret"),
        ("unknown", "no such key"),
        ("ward", "no scope 'admin'"),
    ]
    assert [entry.details["times"] for entry in refused] == [1, 1, 1, 5]
    assert refused[0].details["route"] == "GET /generations" and refused[0].details["address"]
    assert not re.search(f"{ward[17:]}|{old[17:]}|A{{9}}|nonsense", str(refused))


def test_entries_are_written_while_the_server_runs(tmp_path: Path) -> None:
    with TestClient(an_app_with_an_image(tmp_path), base_url=HTTP) as client:
        client.get("/cases/drawn:s1")
        with AppDatabase.open(tmp_path / "app.sqlite3") as database:
            until(lambda: database.audit.verify().number == 1)


def until(holds: Callable[[], object]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_error_of_any_kind_loses_no_entry_and_is_told_by_the_readiness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    append, broken = AuditLog.append, threading.Event()
    tried: list[int] = []

    def failing(log: AuditLog, *entries: NewEntry, **options: Any) -> None:
        if broken.is_set():
            tried.append(len(entries))
            raise ZeroDivisionError
        append(log, *entries, **options)

    monkeypatch.setattr(AuditLog, "append", failing)
    monkeypatch.setattr(audit_queue, "SECONDS", 0.01)
    monkeypatch.setattr(Readiness, "fresh_seconds", 0.0)
    broken.set()
    with TestClient(an_app_with_an_image(tmp_path), base_url=HTTP) as client:
        client.get("/cases/drawn:s1")
        until(lambda: len(tried) > 1)
        answer = client.get("/health/ready")
        assert answer.status_code == 503 and "audit log" in answer.json()["detail"]
        client.get("/cases/drawn:s2")
        broken.clear()
        until(lambda: client.get("/health/ready").status_code == 200)
    assert [entry.details["case"] for entry in entries(tmp_path)] == ["drawn:s1", "drawn:s2"]
    assert caplog.text.count("audit entries are waiting") == 1
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture
def database(tmp_path: Path) -> Iterator[AppDatabase]:
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        yield database


def test_a_batch_is_one_transaction_and_one_chain(database: AppDatabase) -> None:
    queue = AuditQueue(database.audit, lambda: NOW)
    for number in range(600):
        queue.add("case read", "ward", case=f"drawn:s{number}")
    assert list(database.audit) == []
    queue.flush()
    queue.flush()
    assert database.audit.verify().number == 600
    assert [entry.details["case"] for entry in database.audit][-1] == "drawn:s599"


def test_entries_outlast_a_locked_database_and_nothing_is_shown_when_too_many_wait(
    database: AppDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_queue, "LOCK_SECONDS", 0.05)
    queue = AuditQueue(database.audit, lambda: NOW, most=3)
    with closing(sqlite3.connect(tmp_path / "app.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(3):
            queue.add("case read", "ward", case=f"drawn:s{number}")
            with pytest.raises(DatabaseFailure):
                queue.flush()
        with pytest.raises(UnavailableError, match="audit log cannot be written"):
            queue.add("case read", "ward", case="drawn:s3")
    queue.flush()
    queue.add("case read", "ward", case="drawn:s4")
    queue.close()
    assert [entry.details["case"] for entry in database.audit] == [
        *("drawn:s0", "drawn:s1", "drawn:s2", "drawn:s4")
    ]


def test_guessing_keys_does_not_fill_the_log(database: AppDatabase) -> None:
    queue = AuditQueue(database.audit, lambda: NOW, most=3)
    for number in range(5_000):
        queue.refuse(Refusal(reason="no such key", address=f"2001:db8::{number:x}"))
    queue.add("case read", "ward", case="drawn:s1")
    queue.flush()
    found = list(database.audit)
    assert len(found) == 1 + audit_queue.MOST_REFUSALS + 1
    assert sum(int(str(entry.details.get("times", 0))) for entry in found) == 5_000


@pytest.mark.parametrize("value", ["\ud800", {1}, float])
def test_what_cannot_be_stored_is_refused_before_it_is_shown(
    database: AppDatabase, value: object
) -> None:
    queue = AuditQueue(database.audit, lambda: NOW)
    with pytest.raises((TypeError, ValueError)):
        queue.add("case read", "ward", case=value)
    queue.add("case read", "ward", case="drawn:s1")
    queue.flush()
    assert [entry.details["case"] for entry in database.audit] == ["drawn:s1"]


def test_guessing_keys_does_not_fill_the_memory_while_the_log_cannot_be_written(
    database: AppDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_queue, "LOCK_SECONDS", 0.01)
    monkeypatch.setattr(audit_queue, "MOST_REFUSALS", 10)
    queue = AuditQueue(database.audit, lambda: NOW)
    with closing(sqlite3.connect(tmp_path / "app.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")
        for batch in range(5):
            for number in range(20):
                address = f"2001:db8:{batch:x}::{number:x}"
                queue.refuse(Refusal(reason="no such key", address=address))
            with pytest.raises(DatabaseFailure):
                queue.flush()
    queue.flush()
    found = list(database.audit)
    assert len(found) == 10 + 1
    assert sum(int(str(entry.details["times"])) for entry in found) == 100
    assert found[-1].details["reason"] == "several" and found[-1].caller == "unknown"


def test_entries_that_are_lost_at_the_end_are_counted_in_the_log(
    database: AppDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(AuditLog, "append", lambda *_, **__: 1 / 0)
    queue = AuditQueue(database.audit, lambda: NOW)
    queue.add("case read", "ward", case="drawn:s1")
    queue.refuse(Refusal(reason="no such key"))
    queue.close()
    assert "2 audit entries are lost" in caplog.text
