"""API keys, scopes, rate limits, request ids, logs, metrics, traces and the audit of requests."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api.middleware.observability import JsonFormatter
from db.app.database import AppDatabase
from tests.support.service.services import NOW, FakeRetriever, a_case, a_png, an_app, database_at

pytestmark = pytest.mark.usefixtures("each_engine")

HTTP = "http://127.0.0.1"
Client = TestClient[Any]


def key(tmp_path: Path, *scopes: str) -> dict[str, str]:
    """The header of a new key."""
    with AppDatabase.open(database_at(tmp_path)) as database:
        name = "-".join(scopes)
        return {"authorization": f"Bearer {database.keys.add(name, scopes, at=NOW)}"}


@pytest.fixture
def app(tmp_path: Path) -> Litestar:
    return an_app(tmp_path, require_keys=True, requests_per_minute=60)


@pytest.fixture
def client(app: Litestar) -> Iterator[Client]:
    with TestClient(app, base_url=HTTP) as client:
        yield client


def report(client: Client, headers: dict[str, str], **data: str) -> httpx.Response:
    files = {"images": ("image.png", a_png(1, size=(64, 64)))}
    return client.post("/reports", files=files, headers=headers, data=data)


def test_every_route_but_the_pages_and_the_health_checks_asks_for_a_key(tmp_path: Path) -> None:
    app, is_open = an_app(tmp_path, require_keys=True), set()
    with TestClient(app, base_url=HTTP) as client:
        for route in app.routes:
            path = re.sub(r"\{\w+:uuid\}", "00000000-0000-0000-0000-000000000000", route.path)
            path = path.replace("{key:str}", "drawn:s1").replace("{number:int}", "1")
            path = path.replace("{path:path}", "page.js")
            for method in sorted(route.methods - {"HEAD", "OPTIONS"}):
                answer = client.request(method, path)
                if answer.status_code == 401:
                    assert answer.headers["www-authenticate"] == "Bearer"
                    assert "API key" in answer.json()["detail"]
                else:
                    is_open.add(route.path)
    pages = {"/", "/page/{path:path}", "/schema/swagger", "/schema/swagger/{name:str}"}
    assert is_open == {*pages, "/health", "/health/live", "/health/ready"}


def test_wrong_revoked_and_missing_keys_are_refused(client: Client, tmp_path: Path) -> None:
    right = key(tmp_path, "read")
    assert client.get("/generations", headers=right).status_code == 200
    for wrong in (
        {},
        {"authorization": "Bearer"},
        {"authorization": right["authorization"][:-1]},
        {"authorization": right["authorization"].replace("Bearer", "Basic")},
        {"authorization": "Bearer ' OR 1=1 --"},
        {"x-api-key": right["authorization"]},
    ):
        assert client.get("/generations", headers=wrong).status_code == 401
    with AppDatabase.open(database_at(tmp_path)) as database:
        database.keys.revoke("read", at=NOW)
    assert client.get("/generations", headers=right).status_code == 401


def test_a_key_may_do_what_its_scopes_allow(client: Client, tmp_path: Path) -> None:
    read, generate = key(tmp_path, "read"), key(tmp_path, "generate")
    admin, other = key(tmp_path, "admin"), key(tmp_path, "read", "generate")
    read_all = key(tmp_path, "read-all", "generate")
    assert report(client, read).status_code == 403
    assert "no scope 'generate'" in report(client, read).json()["detail"]
    made = report(client, generate)
    assert made.status_code == 201 and made.json()["created_by"] == "generate"
    address = made.headers["location"]
    assert client.get(address, headers=generate).status_code == 403
    assert client.get(address, headers=read_all).json()["created_by"] == "generate"
    assert client.get("/metrics", headers=read_all).status_code == 200
    assert client.post("/index/reload", headers=other).status_code == 403
    assert client.post("/index/reload", headers=admin).status_code == 422
    assert client.delete(address, headers=read_all).status_code == 403
    assert client.delete(address, headers=generate).status_code == 204
    assert client.get(address, headers=read_all).status_code == 404
    assert (
        client.delete(report(client, other).headers["location"], headers=admin).status_code == 204
    )


def test_each_key_has_its_own_limit_and_the_answers_state_it(
    client: Client, tmp_path: Path
) -> None:
    one, other = key(tmp_path, "read"), key(tmp_path, "admin")
    left = []
    for _ in range(60):
        answer = client.get("/generations", headers=one)
        assert answer.status_code == 200
        left.append(int(answer.headers["ratelimit-remaining"]))
    assert left == list(range(59, -1, -1))
    assert answer.headers["ratelimit-limit"] == "60"
    answer = client.get("/generations", headers=one)
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert 0 < int(answer.headers["ratelimit-reset"]) <= 60
    assert client.get("/generations", headers=other).status_code == 200
    assert client.get("/health", headers=one).status_code == 200
    for _ in range(60):
        assert client.get("/generations").status_code == 401
    assert client.get("/generations").status_code == 429  # nobody guesses keys at leisure


def test_a_caller_may_choose_a_request_id_that_cannot_hold_a_name(
    client: Client,
) -> None:
    first, second = (client.get("/health").headers["x-request-id"] for _ in range(2))
    assert first != second and len(first) == 36
    given = "0123abcd-0000"
    assert client.get("/health", headers={"x-request-id": given}).headers["x-request-id"] == given
    for bad in ("Doe Jane", "x" * 20, "1", "a" * 65):
        answer = client.get("/health", headers={"x-request-id": bad})
        assert answer.headers["x-request-id"] != bad
    assert client.get("/nothing").headers["x-request-id"]


def test_a_request_is_logged_by_its_route_and_not_by_what_was_sent(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="api.middleware.access")
    headers = {**key(tmp_path, "read"), "x-request-id": "abcdef01"}
    client.get("/generations?text=Quixotic", headers=headers)
    client.get("/cases/Quixotic:1", headers=headers)
    client.get("/Quixotic/1", headers=headers)
    client.request("QUIXOTIC", "/health")
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    requests = [line for line in lines if line["logger"] == "api.middleware.access"]
    assert [(line["route"], line["status"]) for line in requests[:3]] == [
        ("/generations", 200),
        ("/cases/{key}", 404),
        ("unknown", 404),
    ]
    assert requests[0]["caller"] == "read" and requests[3]["method"] == "other"
    assert "Quixotic" not in json.dumps(lines) and "QUIXOTIC" not in json.dumps(lines)


def test_metrics_count_requests_by_route(client: Client, tmp_path: Path) -> None:
    headers = key(tmp_path, "read", "generate")
    report(client, headers)
    client.get("/cases/Quixotic:1", headers=headers)
    text = client.get("/metrics", headers=headers).text
    assert re.search(
        r'cxr_requests_total\{instance="[^"]+",method="POST",route="/reports",status="201"\}', text
    )
    assert re.search(r'cxr_stage_seconds_count\{instance="[^"]+",stage="write"\}', text)
    assert re.search(r'cxr_waiting\{instance="[^"]+"\} 0\.0', text)
    assert "Quixotic" not in text


def test_a_request_is_a_span_of_its_callers_trace(client: Client) -> None:
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.get("/page/page.js?name=Quixotic", headers={"traceparent": parent})
    (span,) = exporter.get_finished_spans()
    assert span.name == "GET /page/{path}"
    assert f"{span.context.trace_id:032x}" == parent.split("-")[1]
    assert span.attributes is not None and span.attributes["http.response.status_code"] == 200
    assert "Quixotic" not in span.to_json()


def test_the_audit_log_records_who_asked_and_what_was_cited(client: Client, tmp_path: Path) -> None:
    headers = key(tmp_path, "generate")
    made = report(client, {**headers, "x-request-id": "abcdef01"}).json()
    files = {"images": ("image.png", a_png(1, size=(64, 64)))}
    client.post("/searches", files=files, data={"k": "2", "text": "calm"}, headers=headers)
    client.delete(f"/generations/{made['id']}", headers=headers)
    with AppDatabase.open(database_at(tmp_path)) as database:
        _, reported, searched, deleted = database.audit
        assert database.audit.verify().number == 4
    assert (reported.caller, reported.action, reported.request_id) == (
        "generate",
        "report",
        "abcdef01",
    )
    assert reported.details == {
        "generation": made["id"],
        "images_sha256": made["images_sha256"],
        "generator": "drawn-1",
        "index": "f1" * 32,
        "cited": ["drawn:s1", "drawn:s2", "drawn:s3"],
    }
    assert searched.details["cases"] == ["drawn:s1", "drawn:s2"]
    assert searched.details["by_words"] is True and "calm" not in str(searched.details)
    assert (deleted.action, deleted.details) == ("generation deleted", {"generation": made["id"]})


def test_a_citation_that_its_case_does_not_support_is_never_stored(tmp_path: Path) -> None:
    from dataclasses import replace

    from api.app import create_app
    from api.pipeline.backends import ExtractiveBackend
    from api.settings import Settings
    from tests.support.service.services import write_report

    def boast(retrieval: Any) -> Any:
        honest = write_report(retrieval)
        first, second, *rest = honest.statements
        forged = replace(first, citations=(replace(first.citations[0], quote="Never said."),))
        lost = replace(second, citations=(replace(second.citations[0], number=9),))
        return replace(honest, statements=(forged, lost, *rest))

    app = create_app(
        Settings(database_path=database_at(tmp_path)),
        retriever=FakeRetriever([a_case(n) for n in (1, 2, 3)]),
        backend=ExtractiveBackend(boast),
    )
    with TestClient(app, base_url=HTTP) as client:
        made = report(client, {}).json()
    assert [s["grounded"] for s in made["statements"]] == [False, False, True, False]
    assert any(note.startswith("2 citations were removed") for note in made["notes"])
