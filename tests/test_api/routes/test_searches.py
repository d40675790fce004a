"""POST /searches: by images, by words, by both; what the encoder cannot do gets a sentence."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.pipeline.backends import ExtractiveBackend
from api.settings import Settings
from generator.extractive import write_report
from indexer.build import build
from indexer.encoder.spec import Encoder
from indexer.images.reader import encode_png
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.dicoms import write_dicom
from tests.support.fakes import ReportEncoder, ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph
from tests.support.service.services import DECODING, FakeRetriever, a_case, an_app

HTTP = "http://127.0.0.1"
LATER = {"prefer": "respond-async"}
Client = TestClient[Any]
Serve = Callable[[Encoder], Client]


def a_radiograph(seed: int) -> bytes:
    return encode_png(draw_radiograph(seed, size=(96, 80)))


def send(client: Client, *images: bytes, **fields: Any) -> httpx.Response:
    files = [("images", ("view.png", image)) for image in images]
    return client.post("/searches", files=files or None, data=fields)


def studies(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hit["case"]["study_id"] for hit in answer.json()["hits"]]


def the_sentence(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    detail = answer.json()["detail"]
    assert isinstance(detail, str) and "\n" not in detail
    return detail


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A service around an index of sixteen drawn studies, built with a given encoder."""
    with ExitStack() as stack:

        def start(encoder: Encoder) -> Client:
            index_dir = tmp_path / "index"
            build(JsonLines(write_studies(tmp_path / "studies", 16)), encoder, index_dir)
            client: AbstractContextManager[Client] = TestClient(
                create_app(
                    Settings(database_path=tmp_path / "app.sqlite3"),
                    retriever=Retriever.open(index_dir, encoder),
                    backend=ExtractiveBackend(write_report),
                    decoding=DECODING,
                ),
                base_url=HTTP,
            )
            return stack.enter_context(client)

        yield start


def test_text_alone_finds_cases_without_an_ood_check(serve: Serve) -> None:
    client = serve(ReportEncoder())
    for form in ({"data": {"text": "7"}}, {"files": {"text": (None, "7")}}):
        answer = client.post("/searches", **form)
        assert studies(answer)[0] == "s7"
        found = answer.json()
        assert found["images_sha256"] == []
        assert found["label_scores"] is None and found["ood"] is None
    assert client.get("/generations").json()["total"] == 0


def test_text_and_images_are_weighted_as_requested(serve: Serve) -> None:
    client = serve(ReportEncoder())
    options = {"text": "7", "k": "1", "keep_near_duplicates": "true"}
    assert studies(send(client, a_radiograph(3), text_weight="0", **options)) == ["s3"]
    assert studies(send(client, a_radiograph(3), text_weight="1", **options)) == ["s7"]
    both = send(client, a_radiograph(3), **{**options, "k": "4"})
    assert {"s3", "s7"} <= set(studies(both))
    assert both.json()["label_scores"]["Edema"] == pytest.approx(0.1)


@pytest.mark.parametrize("images", [(), (a_radiograph(3),)], ids=["words", "words and image"])
def test_an_encoder_without_text_tower_says_so(serve: Serve, images: tuple[bytes, ...]) -> None:
    client = serve(ThumbnailEncoder())
    assert client.get("/health").json()["search_by_text"] is False
    detail = the_sentence(send(client, *images, text="effusion"), 422)
    assert "encoder 'thumbnail' has no text tower" in detail
    assert studies(send(client, a_radiograph(3)))


def test_health_reports_text_search_and_the_findings(
    serve: Serve,
) -> None:
    health = serve(ReportEncoder()).get("/health").json()
    assert health["search_by_text"] is True
    assert len(health["findings"]) == 13 and "No Finding" not in health["findings"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "empty"), ("  \n ", "empty"), ("9" * 4001, "4,000 characters, not 4,001")],
    ids=["nothing", "blanks", "too long"],
)
def test_a_text_that_cannot_be_searched_for_gets_a_sentence(
    serve: Serve, text: str, says: str
) -> None:
    assert says in the_sentence(send(serve(ReportEncoder()), a_radiograph(3), text=text), 422)


@pytest.mark.parametrize(
    "request_parts",
    [{"data": {"k": "3"}}, {"json": {"text": "7"}}, {"content": b""}],
    ids=["options alone", "json", "nothing"],
)
def test_an_empty_search_is_refused_with_what_may_be_sent(
    tmp_path: Path, request_parts: dict[str, Any]
) -> None:
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        detail = the_sentence(client.post("/searches", **request_parts), 400)
    assert "nothing to search with" in detail and "'text'" in detail


_OTHERS = ("case", "text", "text_weight", "study", "question", "indication", "image", "images")
_TAKEN = {
    "/reports": {"images", "indication"},
    "/answers": {"images", "indication", "question"},
    "/classifications": {"images", "indication"},
    "/captions": {"images", "indication"},
    "/batches": {"images", "indication", "study"},
    "/searches": {"images", "text", "text_weight", "case"},
    "/images": {"image", "window"},
}


@pytest.mark.parametrize("path", _TAKEN)
def test_a_field_that_a_route_does_not_have_is_refused(tmp_path: Path, path: str) -> None:
    retriever = FakeRetriever([a_case(1)])
    with TestClient(an_app(tmp_path, retriever), base_url=HTTP) as client:
        own = "image" if path == "/images" else "images"
        files = [(own, ("a.png", a_radiograph(3)))]
        needed = {"question": "Is it?"} if path == "/answers" else {}
        for field in ({*_OTHERS} - _TAKEN[path]) | {"exclude_patients"}:
            answer = client.post(path, files=files, data={**needed, field: "1"})
            assert f"{path} has no field '{field}'" in the_sentence(answer, 422)
        assert client.get("/generations").json()["total"] == 0 and retriever.words == []


@pytest.mark.parametrize("text", ["null", "true", "[1]", '{"a": 1}', "Erguß 胸水", "-0.5e3", "\0"])
def test_hostile_search_text_is_only_text(tmp_path: Path, text: str) -> None:
    retriever = FakeRetriever([a_case(1)])
    with TestClient(an_app(tmp_path, retriever), base_url=HTTP) as client:
        assert send(client, text=text, text_weight="0.75").status_code == 200
    assert retriever.words == [(text, 0.75)]


@pytest.mark.parametrize("weight", ["2", "-1", "nan", "much"])
def test_an_impossible_weight_is_named(tmp_path: Path, weight: str) -> None:
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        answer = send(client, text="7", text_weight=weight)
    assert answer.status_code in (400, 422)
    assert "text_weight" in the_sentence(answer, answer.status_code)


def test_only_cases_that_name_every_label_are_hits(serve: Serve) -> None:
    client = serve(ReportEncoder())
    answer = send(client, text="7", label="Cardiomegaly", k="16")
    assert len(studies(answer)) == 4
    for hit in answer.json()["hits"]:
        assert hit["case"]["labels"]["Cardiomegaly"] == "positive"


def test_hits_can_be_limited_to_the_findings_of_the_label_head(serve: Serve) -> None:
    client = serve(ReportEncoder({"Cardiomegaly": 0.9}))
    answer = send(client, a_radiograph(500), label_filter="exact", k="16")
    assert len(studies(answer)) == 4
    assert all(hit["case"]["labels"]["Cardiomegaly"] == "positive" for hit in answer.json()["hits"])


@pytest.mark.parametrize("path", ["/searches", "/reports"])
def test_a_label_filter_without_label_head_gets_a_sentence(serve: Serve, path: str) -> None:
    client = serve(ThumbnailEncoder())
    answer = client.post(
        path, files={"images": ("a.png", a_radiograph(3))}, data={"label_filter": "partial"}
    )
    assert "has no label head" in the_sentence(answer, 422)
    assert client.get("/generations").json()["total"] == 0


def test_a_repeated_report_and_a_falling_score_end_the_list(serve: Serve) -> None:
    client = serve(ReportEncoder())
    assert len(studies(send(client, text="7", k="16"))) == 16
    assert len(studies(send(client, text="7", k="16", distinct_reports="true"))) == 4
    assert studies(send(client, text="7", k="16", min_ratio="1")) == ["s7"]
    assert studies(send(client, text="7", k="16", min_score="0.9999")) == ["s7"]
    alike = studies(send(client, text="7", k="4"))
    varied = studies(send(client, text="7", k="4", diversity="1"))
    assert varied != alike and varied[0] == "s7"


def test_an_exclusion_that_matches_no_case_is_a_422_with_the_id_that_was_meant(
    serve: Serve,
) -> None:
    client = serve(ThumbnailEncoder())
    detail = the_sentence(send(client, a_radiograph(3), exclude_study="s3 "), 422)
    assert "no study 's3 '" in detail and "did you mean 's3'?" in detail
    files = [("images", ("view.png", a_radiograph(3)))]
    for path, headers in (("/reports", {}), ("/reports", LATER), ("/batches", {})):
        answer = client.post(path, files=files, data={"exclude_patient": "?"}, headers=headers)
        assert "no patient '?'" in the_sentence(answer, 422)
    assert "s3" not in studies(send(client, a_radiograph(3), exclude_study="local:s3"))


def dicom(tmp_path: Path, **headers: str) -> bytes:
    return write_dicom(
        tmp_path / "image.dcm", draw_radiograph(3, size=(96, 80)), **headers
    ).read_bytes()


def test_images_of_two_patients_are_a_422_with_both_ids(serve: Serve, tmp_path: Path) -> None:
    client = serve(ThumbnailEncoder())
    images = [dicom(tmp_path, PatientID=patient) for patient in ("A1", "B2")]
    for path in ("/searches", "/reports"):
        files = [("images", ("view.dcm", image)) for image in images]
        detail = the_sentence(client.post(path, files=files), 422)
        assert "patient 'A1'" in detail and "patient 'B2'" in detail


def test_an_image_under_another_header_is_read_on_demand(serve: Serve, tmp_path: Path) -> None:
    client = serve(ThumbnailEncoder())
    image = dicom(tmp_path, Modality="CT")
    assert "modality CT" in the_sentence(send(client, image), 422)
    answer = send(client, image, accept_as_chest="true")
    assert studies(answer)
    assert "read as a chest X-ray" in answer.json()["notes"][0]
    for path in ("/reports", "/images"):
        field = "image" if path == "/images" else "images"
        answer = client.post(
            path, files={field: ("view.dcm", image)}, data={"accept_as_chest": "true"}
        )
        assert answer.status_code in (200, 201), answer.text


class Wordy(ReportEncoder):
    """Embeds any words where the image of seed 2 is, whose report denies an effusion."""

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        return super().embed_text(["2" for _ in texts])


def test_words_find_cases_that_say_them_and_mark_the_sentence(serve: Serve) -> None:
    client = serve(Wordy())
    found = send(client, text="effusion", k="4").json()
    assert {hit["matched_sentence"] for hit in found["hits"]} == {"Small left pleural effusion."}
    assert found["strategy"] == "similar" and found["finding_likelihoods"] is None
    (hit,) = send(client, text="no effusion", k="1").json()["hits"]
    assert hit["matched_sentence"] == "No pneumothorax or effusion."


def test_the_strategy_names_the_findings_that_it_wants(serve: Serve) -> None:
    client = serve(ReportEncoder({"Cardiomegaly": 0.9}))
    found = send(client, a_radiograph(3), strategy="findings", k="8").json()
    assert found["strategy"] == "findings" and "Cardiomegaly" in found["wanted_findings"]
    assert found["finding_likelihoods"]["Cardiomegaly"] > 0.1
    named = [hit for hit in found["hits"] if hit["case"]["labels"].get("Cardiomegaly")]
    assert len(named) >= 2
    refused = the_sentence(send(client, a_radiograph(3), strategy="findings", text="7"), 422)
    assert "leave out the text or the strategy" in refused
    assert "strategy" in the_sentence(send(client, a_radiograph(3), strategy="nearest"), 400)
