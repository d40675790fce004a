"""Several applications on one PostgreSQL database, as several processes have them."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import URL

from api.pipeline.current_index import StudySearch
from api.pipeline.jobs import JobRunner
from api.pipeline.shared_reload import SharedReload
from db.app.database import AppDatabase
from db.engines.presence import serving
from db.errors import UserError
from tests.support.databases import PostgresServer, run_sql
from tests.support.service.clients import HTTP, LATER, images, settled
from tests.support.service.services import NOW, FakeRetriever, a_case, an_app
from tests.support.service.writers import Gate, Talker

Client = TestClient[Any]


@pytest.fixture
def url(postgresql_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> URL:
    url = postgresql_server.fresh()
    monkeypatch.setattr("tests.support.service.services.LOCATED", lambda _: url)
    monkeypatch.setattr(JobRunner, "look_seconds", 0.05)
    monkeypatch.setattr(SharedReload, "seconds", 0.05)
    monkeypatch.setattr(SharedReload, "pause", 0.05)
    return url


@contextmanager
def process(tmp_path: Path, url: URL, **parts: Any) -> Iterator[Client]:
    with serving(url) as presence:
        app = an_app(tmp_path, database=AppDatabase.open(url, presence=presence), **parts)
        with TestClient(app, base_url=HTTP, raise_server_exceptions=False) as client:
            yield client


def wait_until(is_true: Callable[[], bool]) -> None:
    for _ in range(600):
        if is_true():
            return
        time.sleep(0.1)
    pytest.fail("it did not come true")


def test_a_report_is_read_by_all_and_cancelled_by_any(tmp_path: Path, url: URL) -> None:
    talker = Talker()
    with ExitStack() as stack:
        stack.callback(talker.go.set)
        one = stack.enter_context(process(tmp_path, url, backend=talker))
        accepted = one.post("/reports", files=images(1), headers=LATER).headers["location"]
        wait_until(lambda: one.get(accepted).json()["status"] == "running")
        other = stack.enter_context(process(tmp_path, url))
        assert other.get(accepted).status_code == 202
        assert other.delete(accepted).status_code == 204
        wait_until(lambda: talker.cancelled == 1)
        assert one.get(accepted).json()["status"] == "cancelled"
        made = other.post("/reports", files=images(2)).json()
        assert one.get(f"/generations/{made['id']}").json() == made


def test_studies_of_one_job_are_written_by_all_processes(tmp_path: Path, url: URL) -> None:
    gate = Gate()
    with ExitStack() as stack:
        stack.callback(gate.open.set)
        one = stack.enter_context(process(tmp_path, url, backend=gate, max_batch=1))
        batch = one.post("/batches", files=images(1, 2, 3, 4)).headers["location"]
        assert gate.reached.wait(60)
        other = stack.enter_context(process(tmp_path, url))
        wait_until(lambda: other.get(batch).json()["done"] == 3)
        gate.open.set()
        assert settled(other, batch)["done"] == 4
        assert other.get("/generations").json()["total"] == 4


def test_a_limit_holds_for_all_processes_together(tmp_path: Path, url: URL) -> None:
    limited = {"require_keys": True, "requests_per_minute": 6}
    with AppDatabase.open(url) as database:
        key = database.keys.add("ward", ["read"], at=NOW)
        headers = {"authorization": f"Bearer {key}"}
        with process(tmp_path, url, **limited) as one, process(tmp_path, url, **limited) as other:
            answers = [
                client.get("/generations", headers=headers)
                for _ in range(4)
                for client in (one, other)
            ]
            assert [answer.status_code for answer in answers] == [200] * 6 + [429] * 2
            left = [int(answer.headers["ratelimit-remaining"]) for answer in answers[:6]]
            assert left == [5, 4, 3, 2, 1, 0]
            assert 0 < int(answers[6].headers["ratelimit-reset"]) <= 61
            database.keys.revoke("ward", at=NOW)
            refused = [client.get("/generations", headers=headers) for client in (one, other)]
            assert [answer.status_code for answer in refused] == [401, 401]


def test_while_requests_cannot_be_counted_together_each_process_counts(
    tmp_path: Path, url: URL, caplog: pytest.LogCaptureFixture
) -> None:
    limited = {"trusted_proxies": ("127.0.0.1",), "requests_per_minute": 3}
    run_sql(url, "ALTER TABLE request_counts RENAME TO away")
    with process(tmp_path, url, **limited) as client:
        found = [client.get("/generations").status_code for _ in range(4)]
        assert found == [200, 200, 200, 429]
        assert caplog.text.count("requests are counted by each process alone") == 1
        run_sql(url, "ALTER TABLE away RENAME TO request_counts")
        assert client.get("/generations").headers["ratelimit-remaining"] == "2"


def test_an_index_is_opened_again_by_all_processes(
    tmp_path: Path, url: URL, caplog: pytest.LogCaptureFixture
) -> None:
    fresh, missing = FakeRetriever([a_case(9)], fingerprint="99" * 32), [True]

    def reopen(_: StudySearch) -> StudySearch:
        return fresh

    def reopen_later(_: StudySearch) -> StudySearch:
        if missing:
            raise UserError("there is no index here")
        return replace(fresh)

    def shown(client: Client) -> str:
        return str(client.get("/health").json()["index"]["fingerprint"])

    with ExitStack() as stack:
        one = stack.enter_context(process(tmp_path, url, reopen=reopen))
        other = stack.enter_context(process(tmp_path, url, reopen=reopen_later))
        assert one.post("/index/reload").status_code == 200
        wait_until(lambda: "there is no index here" in caplog.text)
        assert shown(one) == fresh.fingerprint and shown(other) != fresh.fingerprint
        missing.clear()
        wait_until(lambda: shown(other) == fresh.fingerprint)
        assert caplog.text.count("there is no index here") == 1
        late = stack.enter_context(process(tmp_path, url, reopen=reopen))
        assert shown(late) != fresh.fingerprint  # it opened its index after the reload


def test_metrics_name_their_process(tmp_path: Path, url: URL) -> None:
    with process(tmp_path, url, port=8003) as client:
        client.get("/health")
        lines = client.get("/metrics").text.splitlines()
    values = [line for line in lines if not line.startswith("#")]
    assert values and all('instance="' in line and ':8003"' in line for line in values)
    assert any(
        line.startswith("cxr_requests_total{") and 'route="/health"' in line for line in values
    )
    assert len({line.split("{")[0] for line in values}) > 20


def test_a_process_that_is_not_seen_is_not_ready(tmp_path: Path, url: URL) -> None:
    with serving(url) as presence:
        app = an_app(tmp_path, database=AppDatabase.open(url, presence=presence))
        with TestClient(app, base_url=HTTP) as client:
            assert client.get("/health/ready").status_code == 200
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(presence, "_connection", None)
                patch.setattr(presence, "renew", lambda: None)
                patch.setattr("api.pipeline.readiness.Readiness.fresh_seconds", 0.0)
                unready = client.get("/health/ready")
            assert unready.status_code == 503 and "is lost" in unready.json()["detail"]
