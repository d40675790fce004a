"""The service on PostgreSQL: what its texts may hold, and a server of it that is busy or gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import URL, Engine, create_engine

from api.pipeline.readiness import Readiness
from db.app.audit_log import NewEntry, append
from db.engines.engine import writing
from db.engines.pool import BoundedPool
from tests.support.databases import PostgresServer, opened_engine
from tests.support.service.clients import HTTP, images
from tests.support.service.services import NOW, an_app

Client = TestClient[Any]


@pytest.fixture
def url(postgresql_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> URL:
    url = postgresql_server.fresh()
    monkeypatch.setattr("tests.support.service.services.LOCATED", lambda _: url)
    monkeypatch.setattr(Readiness, "lock_seconds", 0.1)
    monkeypatch.setattr(Readiness, "fresh_seconds", 0.0)
    return url


@pytest.fixture
def client(tmp_path: Path, url: URL) -> Iterator[Client]:
    app = an_app(tmp_path, database_seconds=0.2)
    with TestClient(app, base_url=HTTP, raise_server_exceptions=False) as client:
        yield client


def test_any_character_and_number_is_taken_or_refused(client: Client) -> None:
    words = "Fever\0, «naïve» 🫁 \\ ' \" % _ ;--"
    made = client.post("/reports", files=images(1), data={"indication": words})
    assert made.status_code == 201, made.text
    address = made.headers["location"]
    assert client.get(address).json()["indication"] == words.replace("\0", " ")
    for filters in ({"text": words}, {"created_by": words}, {"text": "%"}, {"task": words}):
        found = client.get("/generations", params=filters)
        assert found.status_code in (200, 400), found.text
    for number in (2**31, 2**63, 2**70):
        said = {"kind": "wrong_citation", "statement": number, "citation": number}
        assert client.post(f"{address}/feedback", json=said).status_code in (400, 422)
    said = {"kind": "edited", "text": words, "comment": words}
    assert client.post(f"{address}/feedback", json=said).status_code == 201
    (kept,) = client.get(f"{address}/feedback").json()
    assert kept["comment"] == words.replace("\0", "\ufffd")


def test_a_service_waits_for_another_writer_until_the_lock_timeout(
    client: Client, url: URL
) -> None:
    with opened_engine(url) as engine, writing(engine) as session:
        append(session, NewEntry(at=NOW, caller="another", action="report"))
        refused = client.post("/reports", files=images(1))
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
        assert "database is locked" in refused.json()["detail"]
    assert client.post("/reports", files=images(1)).status_code == 201
    assert client.get("/generations").json()["total"] == 1


def test_a_service_that_cannot_store_is_alive_but_not_ready(client: Client, url: URL) -> None:
    assert client.get("/health/ready").status_code == 200
    with opened_engine(url) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT version_num FROM alembic_version FOR UPDATE")
            unready = client.get("/health/ready")
            assert unready.status_code == 503
            assert "cannot be written to" in unready.json()["detail"]
            assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 200


def assert_unavailable(client: Client, why: str) -> None:
    """What reads, what writes and the check of readiness say so."""
    for refused in (
        client.post("/reports", files=images(1)),
        client.get("/generations"),
        client.get("/health/ready"),
    ):
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
        assert why in refused.json()["detail"]


def test_an_exhausted_pool_is_a_503(
    tmp_path: Path, url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines: list[Engine] = []

    def kept(*given: Any, **more: Any) -> Engine:
        engines.append(create_engine(*given, **more))
        return engines[-1]

    monkeypatch.setattr("db.engines.postgresql.create_engine", kept)
    monkeypatch.setattr("db.engines.postgresql._CONNECTIONS", 1)
    monkeypatch.setattr("db.engines.postgresql._MORE_CONNECTIONS", 1)
    app = an_app(tmp_path, database_seconds=0.2)
    with TestClient(app, base_url=HTTP, raise_server_exceptions=False) as client:
        [pooled] = [one for one in engines if isinstance(one.pool, BoundedPool)]
        with pooled.connect(), pooled.connect():
            assert_unavailable(client, "all 2 connections are in use")
            assert client.get("/health/live").status_code == 200
        assert client.post("/reports", files=images(1)).status_code == 201


def test_a_lost_server_is_a_503_until_it_is_back(
    tmp_path: Path, postgresql_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, url: URL
) -> None:
    own = postgresql_server.empty()
    monkeypatch.setattr("tests.support.service.services.LOCATED", lambda _: own)
    app = an_app(tmp_path, database_seconds=0.2)
    with TestClient(app, base_url=HTTP, raise_server_exceptions=False) as client:
        assert client.post("/reports", files=images(1)).status_code == 201
        with postgresql_server.unreachable(own):
            assert_unavailable(client, "database server cannot be reached")
        assert client.post("/reports", files=images(1)).status_code == 201
        assert client.get("/generations").json()["total"] == 2
