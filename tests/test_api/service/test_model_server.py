"""The service with a model that another server runs."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from PIL import Image

from api.app import create_app
from api.pipeline.backends import Backend, BackendOptions, open_backend
from api.settings import Settings
from db.errors import UserError
from generator.engines import server as requests
from generator.prompts import Prompt
from generator.vision_language import DecodingOptions, ModelUnavailableError
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder, write_studies
from tests.support.models.mllama_models import write_mllama
from tests.support.pacs import Asked
from tests.support.radiographs import draw_radiograph
from tests.support.service.clients import HTTP, STREAM, parsed
from tests.support.service.model_server import (
    HEAD,
    ModelAnswer,
    body_of,
    chunk,
    completion,
    failed,
    model_server,
    sized,
    streamed,
)
from tests.support.service.services import a_png, serving

SEEN = {"Cardiomegaly": 0.8, "Pleural Effusion": 0.7}
TEXT = ("Findings: The heart ", "is enlarged. [1][2][3][4][5]")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PAUSES", (0.01,))


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    folder = tmp_path_factory.mktemp("index")
    build(JsonLines(write_studies(folder, 16)), ReportEncoder(SEEN), folder / "index")
    return Retriever.open(folder / "index", ReportEncoder(SEEN))


@contextmanager
def backend_at(address: str, retriever: Retriever) -> Iterator[Backend]:
    backend = open_backend(retriever, BackendOptions(model=address))
    try:
        yield backend
    finally:
        backend._model.close()  # type: ignore[attr-defined]


@contextmanager
def clients(
    tmp_path: Path, retriever: Retriever, *told: ModelAnswer
) -> Iterator[tuple[TestClient[Any], list[Asked]]]:
    """A client of the service whose model answers as told."""
    with model_server(*told) as (address, chats), backend_at(address, retriever) as backend:
        app = create_app(
            Settings(database_path=tmp_path / "app.sqlite3", max_written=backend.batch_size),
            retriever=retriever,
            backend=backend,
        )
        with TestClient(app, base_url=HTTP) as client:
            yield client, chats


def send(client: Any, path: str, seed: int = 99, **data: Any) -> Any:
    headers = data.pop("headers", {})
    files = {"images": ("a.png", a_png(seed, size=(96, 80)))}
    return client.post(path, files=files, data=data, headers=headers, timeout=60)


def says(asked: Asked) -> Any:
    if body_of(asked).get("stream"):
        return streamed(*TEXT)
    return completion("no", logprobs=[{"no": -0.1, "yes": -2.0}])


def test_every_task_is_served_streamed_and_stored(tmp_path: Path, retriever: Retriever) -> None:
    with clients(tmp_path, retriever, says) as (client, chats):
        happened = parsed(send(client, "/reports", headers=STREAM).text)
        classes = send(client, "/classifications").json()
        caption = send(client, "/captions").json()
        answer = send(client, "/answers", question="Is the aorta tortuous?").json()
        stored = client.get(f"/generations/{happened[-1][1]['id']}").json()
    assert [data["text"] for event, data in happened if event == "token"] == list(TEXT)
    assert stored["statements"] == happened[-1][1]["statements"] and stored["statements"]
    assert stored["origin"]["model"].startswith("openai+http://127.0.0.1:")
    assert stored["origin"]["model_sha256"] is None and stored["warnings"] == []
    assert {round(one["language_model"], 2) for one in classes["observations"]} == {0.13}
    assert caption["statements"] and answer["statements"]
    assert len(chats) == 17


def test_what_is_sent_where_is_said_at_the_start(retriever: Retriever) -> None:
    with (
        model_server(says) as (address, _),
        backend_at(address.replace("#", "?concurrency=3#"), retriever) as backend,
    ):
        said = backend.description
        assert (backend.batch_size, backend.concurrency) == (1, 3)
    host = address.removeprefix("openai+").partition("#")[0]
    assert f"the model server {host} is sent one picture" in said and "no patient" in said


def test_an_unreachable_server_or_model_is_refused_at_the_start(retriever: Retriever) -> None:
    absent = model_server(failed(404))
    with absent as (address, _), pytest.raises(UserError, match="has no model 'x'"):
        open_backend(retriever, BackendOptions(model=f"{address.partition('#')[0]}#x"))
    with pytest.raises(UserError, match="cannot be reached"):
        open_backend(retriever, BackendOptions(model=address))
    with pytest.raises(UserError, match="--allow-remote-model"):
        open_backend(retriever, BackendOptions(model="openai+https://models.example/v1#x"))
    with pytest.raises(UserError, match="name one after '#'"):
        open_backend(retriever, BackendOptions(model=address, adapter="x"))


def test_while_the_server_is_down_reports_are_extractive_and_say_so(
    tmp_path: Path, retriever: Retriever, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Iterator[bytes]:
        yield HEAD
        yield sized(chunk("The heart"))

    down = False
    with caplog.at_level(logging.WARNING, "generator"):

        def moody(asked: Asked) -> Any:
            if not down:
                return says(asked)
            return failed(503) if len(chats) % 2 else broken()

        with clients(tmp_path, retriever, moody) as (client, chats):
            before = send(client, "/reports").json()
            down = True
            streams = [parsed(send(client, "/reports", headers=STREAM).text) for _ in range(5)]
            asked = len(chats)
            after = [
                send(client, path).json() for path in ("/reports", "/classifications", "/captions")
            ]
            assert len(chats) == asked, "the circuit is closed"
    assert before["generator"].startswith("openai+") and not before["warnings"]
    for made in (*(events[-1][1] for events in streams), *after):
        assert "Written without the language model: the model server" in made["warnings"][0]
        assert made["generator"].startswith(("extractive-", "votes-"))
        assert made["origin"]["model"] is None and made["statements"]
    assert "failed 5 times in a row" in caplog.text


def test_a_slow_answer_holds_no_other_up_and_ends_with_its_client(
    tmp_path: Path, retriever: Retriever
) -> None:
    began, ended = threading.Event(), threading.Event()
    slow = threading.Lock()

    def moody(asked: Asked) -> Any:
        return endless() if slow.acquire(blocking=False) else says(asked)

    def endless() -> Iterator[bytes]:
        try:
            yield HEAD
            while True:
                yield sized(chunk("w"))
                began.set()
                time.sleep(0.02)
        finally:
            ended.set()

    with model_server(moody) as (address, _), backend_at(address, retriever) as backend:
        app = create_app(
            Settings(database_path=tmp_path / "app.sqlite3", max_written=backend.batch_size),
            retriever=retriever,
            backend=backend,
        )
        with serving(app) as service, httpx.Client(base_url=service, timeout=60) as client:
            files = {"images": ("a.png", a_png(1, size=(96, 80)))}
            with client.stream("POST", "/reports", files=files, headers=STREAM) as first:
                events = first.iter_lines()
                assert next(events)
                assert began.wait(60)
                with ThreadPoolExecutor(2) as pool:
                    others = list(pool.map(lambda seed: send(client, "/reports", seed), (2, 3)))
                assert [one.status_code for one in others] == [201, 201]
                assert not ended.is_set()
            assert ended.wait(60), "the answer of a client that left goes on"
            assert client.get("/generations").json()["total"] == 2


def test_the_service_can_be_the_model_of_another(
    tmp_path: Path, retriever: Retriever, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One with a tiny Llama serves ``/v1``; the other checks what it cites, of its own cases."""
    tiny = write_mllama(tmp_path_factory.mktemp("model") / "tiny")
    other = tmp_path / "other"
    other.mkdir()
    short = DecodingOptions(max_new_tokens=24)
    writer = open_backend(retriever, BackendOptions(model=str(tiny), device="cpu", decoding=short))
    inner = create_app(
        Settings(database_path=other / "app.sqlite3"), retriever=retriever, backend=writer
    )
    with serving(inner) as service:
        address = f"openai+{service}/v1#grounded-cxr"
        with backend_at(address, retriever) as backend:
            app = create_app(
                Settings(database_path=tmp_path / "app.sqlite3"),
                retriever=retriever,
                backend=backend,
            )
            with TestClient(app, base_url=HTTP) as client:
                happened = parsed(send(client, "/reports", headers=STREAM).text)
            # It writes reports, whatever it is asked, and so has no opinion of yes and no.
            drawn = Image.fromarray(draw_radiograph(99, size=(96, 80)))
            question = Prompt(task="classify", text="Is it?", image=drawn)
            with pytest.raises(ModelUnavailableError, match="yes or no with something else"):
                backend._model.loglikelihood([question], ["yes", "no"])  # type: ignore[attr-defined]
    report = happened[-1][1]
    shown = "".join(data["text"] for event, data in happened if event == "token")
    assert shown.startswith("Research use only") and report["generator"].startswith("openai+")
    assert not [one for one in report["statements"] if "esearch use only" in one["text"]]
    for statement in report["statements"]:
        for citation in statement["citations"]:
            case = retriever.index.cases.find(citation["source"], citation["study_id"])
            assert case is not None and citation["quote"] in case.report
