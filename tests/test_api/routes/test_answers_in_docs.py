"""The answers that docs/serve.md and docs/answers.md show are those that the service gives."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from api.pacs.client import Pacs
from api.pacs.connection import PacsConnection
from db.app.generation import OodCheck
from tests.conftest import ROOT
from tests.support.pacs import STUDY, an_image, holding, scripted
from tests.support.service.clients import HTTP, LATER, STREAM, a_message, images
from tests.support.service.services import FakeRetriever, a_case, a_png, an_app
from tests.support.service.writers import Talker

Client = TestClient[Any]
SERVE, ANSWERS = (
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("serve.md", "answers.md")
)
BLOCK = re.compile(r'^```(json|text) title="(\w+)"\n(.*?)^```', re.DOTALL | re.MULTILINE)
BLOCKS = BLOCK.findall(SERVE) + BLOCK.findall(ANSWERS)
SHOWN = {name: json.loads(text) for kind, name, text in BLOCKS if kind == "json"}
EVENTS = {name: text.strip() for kind, name, text in BLOCKS if kind == "text"}
SHOWN_IDS = {"id", "batch", "generation", "instance"}
UNLIKE = OodCheck(in_distribution=False, score=-8.1, threshold=-3.2, reason="drawn sideways")
PACS = "https://pacs.example/dicom-web"
FORM = 'multipart/related; type="application/dicom"; boundary=part'


def writer() -> Talker:
    made = Talker()
    made.go.set()
    return made


@pytest.fixture
def image(tmp_path: Path) -> bytes:
    return an_image(tmp_path, 1)


@pytest.fixture
def client(tmp_path: Path, image: bytes) -> Iterator[Client]:
    with scripted(holding(image)) as there:
        pacs = Pacs(PacsConnection(there.url))
        app = an_app(tmp_path, FakeRetriever([a_case(1)]), backend=writer(), pacs=pacs)
        with TestClient(app, base_url=HTTP) as client:
            yield client


def check(shown: Any, given: Any) -> None:
    """What is shown is given, with the same values but for ids; more may be given."""
    if isinstance(shown, dict):
        for name in shown.keys() - SHOWN_IDS:
            check(shown[name], given[name])
        assert given.keys() >= shown.keys()
    elif isinstance(shown, list):
        assert len(shown) == len(given)
        for one, other in zip(shown, given, strict=True):
            check(one, other)
    elif isinstance(shown, float):
        assert given == pytest.approx(shown)
    else:
        assert plain(given) == plain(shown)


def plain(value: Any) -> Any:
    """Without ids and the address of the PACS of the test."""
    if not isinstance(value, str):
        return value
    value = re.sub(r"http://127\.0\.0\.1:\d+/dicom-web", PACS, value)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", value)


def test_answers_are_as_shown(client: Client, image: bytes) -> None:
    one = images(1)
    chat = {"messages": [a_message(a_png(1, size=(64, 64)))]}
    report = client.post("/reports", files=one)
    address = report.headers["location"]
    listed = client.get("/generations", params={"limit": 1})
    found = client.post("/pacs/searches", json={"modalities": ["CR"]})
    fetched = client.post("/pacs/reports", json={"study": STUDY}).json()["id"]
    sending = {"generation": fetched, "study": STUDY, "target": found.json()["target"]}
    edited = {"kind": "edited", "text": "Lungs clear."}
    stow = b"--part\r\nContent-Type: application/dicom\r\n\r\n" + image + b"\r\n--part--\r\n"
    answers = {
        "report": report,
        "batch": client.post("/batches", files=one),
        "problem": client.post("/reports", files=one, data={"question": "Is it?"}),
        "classification": client.post("/classifications", files=one),
        "pending": client.post("/reports", files=one, headers=LATER),
        "list": listed,
        "studies": client.post("/studies", content=stow, headers={"content-type": FORM}),
        "pacs": found,
        "sent": client.post("/pacs/send-back", json=sending),
        "search": client.post("/searches", files=one),
        "case": client.get("/cases/drawn:s1"),
        "feedback": client.post(f"{address}/feedback", json=edited),
        "fhir": client.get(f"{address}/fhir"),
        "models": client.get("/v1/models"),
        "chat": client.post("/v1/chat/completions", json=chat),
        "health": client.get("/health"),
        "ready": client.get("/health/ready"),
    }
    assert answers.keys() == SHOWN.keys()
    for name, answer in answers.items():
        check(SHOWN[name], answer.json())


def test_every_route_is_on_the_page_of_answers(client: Client) -> None:
    paths = client.get("/schema").json()["paths"]
    page = ANSWERS.replace("GENERATION", "{generation_id}").replace("BATCH", "{batch_id}")
    page = page.replace("CASE", "{key}").replace("images/1", "images/{number}")
    assert [
        path for path in paths if path != "/" and not re.search(f"{re.escape(path)}[`,]", page)
    ] == []


def test_a_stream_is_as_shown(client: Client) -> None:
    found = re.search(r"^```text\n(event: .*?)^```", SERVE, re.DOTALL | re.MULTILINE)
    assert found is not None
    answer = client.post("/reports", files=images(1), headers=STREAM)
    progress, _, rest = answer.text.replace("\r\n", "\n").partition("event: report\n")
    assert progress.strip() == found.group(1).strip() and rest.startswith("data: {")
    result = EVENTS["report"].removesuffix(" ...}")
    assert plain(f"event: report\n{rest}").startswith(plain(result))


def test_a_warning_and_a_problem_of_a_stream_are_as_shown(tmp_path: Path) -> None:
    retriever = FakeRetriever([a_case(1)], ood=UNLIKE)
    with TestClient(an_app(tmp_path, retriever, backend=writer()), base_url=HTTP) as client:
        good = client.post("/reports", files=images(1), headers=STREAM)
        bad = client.post("/reports", files={"images": ("Doe.png", b"none")}, headers=STREAM)
    assert EVENTS["warning"] in good.text.replace("\r\n", "\n")
    assert EVENTS["problem"] in bad.text.replace("\r\n", "\n")
