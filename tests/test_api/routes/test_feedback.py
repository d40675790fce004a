"""Feedback on a generation, filters of the history, and what a generation was made with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from tests.support.service.services import FakeRetriever, a_case, a_png, an_app

pytestmark = pytest.mark.usefixtures("each_engine")

Client = TestClient[Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    app = an_app(
        tmp_path_factory.mktemp("app"), FakeRetriever([a_case(1), a_case(2, study_id="a b")])
    )
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def made(client: Client) -> dict[str, Any]:
    for line in client.get("/generations").json()["generations"]:
        client.delete(f"/generations/{line['id']}")
    answer = client.post("/reports", files={"images": ("image.png", a_png(1, size=(64, 64)))})
    report: dict[str, Any] = answer.json()
    return report


def test_feedback_is_kept_with_its_report(client: Client, made: dict[str, Any]) -> None:
    address = f"/generations/{made['id']}/feedback"
    remarks = [
        {"kind": "accepted", "citation": 2},
        {"kind": "edited", "text": "<b>'; DROP TABLE feedback; --", "statement": 0},
        {"kind": "wrong_citation", "statement": 1, "citation": 2, "comment": "Another side."},
    ]
    for remark in remarks:
        answer = client.post(address, json=remark)
        assert answer.status_code == 201, answer.text
        assert remark.items() <= answer.json().items()
        assert answer.json()["created_by"] == "local"
    listed = client.get(address).json()
    assert [remark["kind"] for remark in listed] == ["accepted", "edited", "wrong_citation"]
    assert listed[1]["text"] == remarks[1]["text"]


@pytest.mark.parametrize(
    ("remark", "status", "says"),
    [
        ({}, 400, "kind"),
        ({"kind": "liked"}, 400, "liked"),
        ({"kind": "accepted", "extra": 1}, 400, "extra"),
        ({"kind": "edited"}, 422, "'text' belongs to"),
        ({"kind": "accepted", "text": "x"}, 422, "'text' belongs to"),
        ({"kind": "edited", "text": "x" * 20_001}, 400, "text"),
        ({"kind": "wrong_citation", "statement": 0}, 422, "'statement' and 'citation'"),
        ({"kind": "wrong_citation", "statement": 9, "citation": 1}, 422, "no statement 9"),
        ({"kind": "wrong_citation", "statement": 0, "citation": 2}, 422, "does not cite [2]"),
        ({"kind": "accepted", "statement": -1}, 400, "statement"),
        ({"kind": "accepted", "statement": 2**63}, 422, "no statement"),
        ({"kind": "accepted", "citation": 2**63}, 422, "the report does not cite"),
        ({"kind": "accepted", "citation": 9}, 422, "the report does not cite [9]"),
        ({"kind": "edited", "text": "x", "citation": 2**64}, 422, "the report does not cite"),
    ],
)
def test_inconsistent_feedback_is_refused(
    client: Client, made: dict[str, Any], remark: dict[str, Any], status: int, says: str
) -> None:
    answer = client.post(f"/generations/{made['id']}/feedback", json=remark)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["detail"]
    assert client.get(f"/generations/{made['id']}/feedback").json() == []


@pytest.mark.parametrize("opened", ['{"kind":"accepted","comment":', '{"extra":', ""])
@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_deeply_nested_json_is_refused(
    client: Client, made: dict[str, Any], opened: str, depth: int
) -> None:
    body = opened + "[" * depth + "]" * depth + ("}" if opened else "")
    headers = {"content-type": "application/json"}
    for path in (f"/generations/{made['id']}/feedback", "/v1/chat/completions"):
        answer = client.post(path, content=body, headers=headers)
        assert answer.status_code == 400, answer.text
        assert "nested too deeply" in answer.json()["detail"]


def test_feedback_on_an_unknown_report_is_not_found(client: Client) -> None:
    address = "/generations/00000000-0000-0000-0000-000000000000/feedback"
    assert client.get(address).status_code == 404
    assert client.post(address, json={"kind": "accepted"}).status_code == 404


def test_a_generation_records_what_is_needed_to_reproduce_it(made: dict[str, Any]) -> None:
    origin = made["origin"]
    assert (origin["encoder"], origin["encoder_sha256"]) == ("reports", "2" * 64)
    assert origin["program"] and origin["model"] is None and origin["seed"] is None
    assert made["index"]["fingerprint"] == "f1" * 32
    assert made["status"] == "done" and made["images_sha256"] and made["options"]["k"] == 10
    assert [hit["score"] for hit in made["hits"]] == pytest.approx([0.92, 0.88])


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"task": "report"}, 1),
        ({"task": "answer"}, 0),
        ({"created_by": "local"}, 1),
        ({"since": "2026-05-04T03:02:01Z"}, 1),
        ({"until": "2026-05-04T03:02:01Z"}, 0),
        ({"since": "2026-05-04T05:02:02+02:00"}, 0),
        ({"since": "0001-01-01T00:00:00+14:00"}, 1),
        ({"since": "0001-01-01T00:00:00"}, 1),
        ({"until": "0001-01-01T00:00:00+14:00"}, 0),
        ({"until": "9999-12-31T23:59:59-12:00"}, 1),
        ({"since": "9999-12-31T23:59:59-12:00"}, 0),
        ({"text": "DRAWN CLEAR"}, 1),
        ({"text": "%"}, 0),
        ({"cites": "drawn:a%20b"}, 1),
        ({"cites": "drawn:s9"}, 0),
        ({"image_sha256": "00" * 32}, 0),
        ({"index_fingerprint": "f1" * 32}, 1),
    ],
)
def test_the_history_can_be_filtered(
    client: Client, made: dict[str, Any], query: dict[str, str], count: int
) -> None:
    answer = client.get("/generations", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["generations"]) == count


@pytest.mark.parametrize(
    "query", [{"since": "yesterday"}, {"cites": "nothing"}, {"text": "x" * 300}]
)
def test_an_invalid_filter_is_named(client: Client, query: dict[str, str]) -> None:
    answer = client.get("/generations", params=query)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_search_by_a_stored_case_finds_others(tmp_path: Path) -> None:
    from api.app import create_app
    from api.pipeline.backends import ExtractiveBackend
    from api.settings import Settings
    from indexer.build import build
    from indexer.sources.jsonl import JsonLines
    from retriever.search import Retriever
    from tests.support.fakes import ThumbnailEncoder, write_studies
    from tests.support.service.services import write_report

    build(JsonLines(write_studies(tmp_path / "studies", 8)), ThumbnailEncoder(), tmp_path / "i")
    app = create_app(
        Settings(database_path=tmp_path / "other.sqlite3"),
        retriever=Retriever.open(tmp_path / "i", ThumbnailEncoder()),
        backend=ExtractiveBackend(write_report),
    )
    with TestClient(app, base_url="http://127.0.0.1") as client:
        found = client.post("/searches", data={"case": "local:s3", "k": "8"})
        assert found.status_code == 200, found.text
        studies = [hit["case"]["study_id"] for hit in found.json()["hits"]]
        assert len(studies) == 7 and "s3" not in studies
        assert client.post("/searches", data={"case": "local:none"}).status_code == 404
        both = client.post("/searches", data={"case": "local:s3", "text": "x"})
        assert both.status_code == 400 and "neither images nor text" in both.json()["detail"]
