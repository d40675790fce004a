"""GET /generations: the history outlives restarts and rebuilt indexes."""

from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.app import create_app
from api.pipeline.backends import ExtractiveBackend
from api.settings import Settings
from generator.extractive import write_report
from indexer.build import build
from indexer.images.reader import encode_png
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph
from tests.support.service.services import (
    DECODING,
    FakeRetriever,
    a_case,
    a_png,
    an_app,
    database_at,
)

pytestmark = pytest.mark.usefixtures("each_engine")

HTTP = "http://127.0.0.1"


def send(client: TestClient[Any], image: bytes) -> dict[str, Any]:
    answer = client.post("/reports", files={"images": ("image.png", image)})
    assert answer.status_code == 201, answer.text
    report: dict[str, Any] = answer.json()
    return report


def citations(report: dict[str, Any]) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """What must never change: per sentence number, study, index and quote of its citations."""
    return [
        (
            statement["text"],
            [
                (c["number"], c["source"], c["study_id"], c["index_fingerprint"], c["quote"])
                for c in statement["citations"]
            ],
        )
        for statement in report["statements"]
    ]


def serve_index(tmp_path: Path, index_dir: Path) -> Litestar:
    return create_app(
        Settings(database_path=database_at(tmp_path)),
        retriever=Retriever.open(index_dir, ThumbnailEncoder()),
        backend=ExtractiveBackend(write_report),
        decoding=DECODING,
    )


def test_citations_outlive_a_restart_and_a_rebuilt_index(tmp_path: Path) -> None:
    index_dir = tmp_path / "index"
    build(JsonLines(write_studies(tmp_path / "first", 24)), ThumbnailEncoder(), index_dir)
    with TestClient(serve_index(tmp_path, index_dir), base_url=HTTP) as client:
        written = send(client, encode_png(draw_radiograph(500, size=(96, 80))))
    cited = {c["case"] for s in written["statements"] for c in s["citations"]}
    assert cited and written["index"]["current"] is True

    with TestClient(serve_index(tmp_path, index_dir), base_url=HTTP) as client:
        assert client.get(f"/generations/{written['id']}").json() == written
        for key in cited:
            case = client.get(f"/cases/{key}").json()
            for statement in written["statements"]:
                for citation in statement["citations"]:
                    if citation["case"] == key:
                        assert citation["quote"] in [s["text"] for s in case["sentences"]]

    # Another build at the same place: fewer cases, in another order, under other numbers.
    build(JsonLines(write_studies(tmp_path / "second", 3)), ThumbnailEncoder(), index_dir)
    with TestClient(serve_index(tmp_path, index_dir), base_url=HTTP) as client:
        later = client.get(f"/generations/{written['id']}").json()
        held = {key for key in cited if client.get(f"/cases/{key}").status_code == 200}
    assert citations(later) == citations(written)
    assert later["index"] == {**written["index"], "current": False}
    assert held < cited
    for statement in later["statements"]:
        for citation in statement["citations"]:
            assert citation["case_available"] == (citation["case"] in held)


def test_a_case_that_left_the_index_is_marked_and_its_quote_stays(tmp_path: Path) -> None:
    retriever = FakeRetriever([a_case(1), a_case(2)])
    with TestClient(an_app(tmp_path, retriever), base_url=HTTP) as client:
        written = send(client, a_png(1))
        retriever.cases = [a_case(2)]
        later = client.get(f"/generations/{written['id']}").json()
    available = [c["case_available"] for s in later["statements"] for c in s["citations"]]
    assert available == [False, True]
    assert [hit["case_available"] for hit in later["hits"]] == [False, True]
    assert citations(later) == citations(written)


def test_the_history_is_read_page_by_page_from_the_newest(tmp_path: Path) -> None:
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        assert client.get("/generations").json() == {
            "generations": [],
            "total": 0,
            "next_before": None,
        }
        ids = [send(client, a_png(1, size=(64, 64)))["id"] for _ in range(3)]
        first = client.get("/generations", params={"limit": 2}).json()
        assert [line["id"] for line in first["generations"]] == [ids[2], ids[1]]
        assert first["total"] == 3
        line = first["generations"][0]
        assert (line["images"], line["cited_cases"], line["generator"]) == (1, 3, "drawn-1")
        rest = client.get(
            "/generations", params={"limit": 2, "before": first["next_before"]}
        ).json()
        assert [line["id"] for line in rest["generations"]] == [ids[0]]
        assert rest["next_before"] is None


@pytest.mark.parametrize(
    "text",
    ["'); DROP TABLE generations; --", "\0", "<i>", "🫁" * 50],
    ids=["sql", "nul", "html", "wide"],
)
def test_hostile_text_in_an_option_is_only_text(tmp_path: Path, text: str) -> None:
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        answer = client.post(
            "/reports",
            files={"images": ("image.png", a_png(1))},
            data={"exclude_patient": text, "exclude_study": text},
        )
        assert answer.status_code == 201
        kept = client.get(f"/generations/{answer.json()['id']}").json()
    assert kept["options"]["exclude_patient_ids"] == [text]


def test_no_image_and_no_file_name_is_kept(tmp_path: Path) -> None:
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        client.post("/reports", files={"images": ("Doe^Jane 1970.png", a_png(1))})
    kept = b"".join(p.read_bytes() for p in tmp_path.iterdir() if p.name.startswith("app.sqlite3"))
    assert b"Doe" not in kept and b"PNG" not in kept and len(kept) < 300_000
