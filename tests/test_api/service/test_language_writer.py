"""A language model behind the service: a scripted one, and a tiny one with random weights."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.app import create_app
from api.pipeline.backends import (
    BackendOptions,
    BackendRequest,
    Token,
    TokenCount,
    open_backend,
)
from api.pipeline.current_index import reopening
from api.pipeline.language_model import LanguageModelBackend
from api.settings import Settings
from db.app.generation import NOTICE
from db.errors import MismatchError
from generator.assessment.calibration import Calibration
from generator.grounding.report import GroundedReport
from generator.mllama.adapter_record import AdapterRecord
from generator.prompts import PROMPT_VERSION, Prompt
from generator.request import GenerationRequest
from generator.vision_language import GREEDY, DecodingOptions, PromptTooLongError
from indexer.build import build
from indexer.images.reader import read_radiograph
from indexer.sources.jsonl import JsonLines
from retriever.options import SearchOptions
from retriever.query import image_query
from retriever.results import Retrieval
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder, write_studies
from tests.support.models.mllama_models import write_adapter, write_mllama
from tests.support.models.scripted_model import ScriptedModel
from tests.support.service.clients import HTTP, a_message, parsed
from tests.support.service.services import DECODING, a_png, serving

SEEN = {"Cardiomegaly": 0.8, "Pleural Effusion": 0.7}
PATHS = ("/reports", "/answers", "/captions", "/classifications")


@dataclass
class Talking(ScriptedModel):
    """Streams its answers word by word, a word of each in turn, and records when each ended."""

    seconds: float = 0.0
    """To think about a word."""
    longest: int | None = None
    """Characters of a prompt that fit."""
    together: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    """How many words each answer had when it ended."""

    def stream_all(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions = GREEDY,
        *,
        cancelled: Callable[[int], bool] = lambda _: False,
    ) -> Iterator[tuple[int, str | None]]:
        if self.longest is not None and any(len(one.text) > self.longest for one in prompts):
            raise PromptTooLongError("the prompt has too many tokens")
        self.together.append(len(prompts))
        return self._emit(prompts, cancelled)

    def _emit(
        self, prompts: Sequence[Prompt], cancelled: Callable[[int], bool]
    ) -> Iterator[tuple[int, str | None]]:
        words = {n: self.script(prompt).split(" ") for n, prompt in enumerate(prompts)}
        said = dict.fromkeys(words, 0)
        self.prompts += prompts
        while words:
            time.sleep(self.seconds)
            for number in list(words):
                if cancelled(number) or not words[number]:
                    del words[number]
                    self.ended.append(said[number])
                    yield number, None
                else:
                    said[number] += 1
                    yield number, words[number].pop(0) + " "


def says(prompt: Prompt) -> str:
    return {
        "report": "Findings: The heart is enlarged. [1] A mass of 9 cm. [2] Impression: "
        "Cardiomegaly. [1][2][3][4][5][6][7][8][9]",
        "ask": "Yes. [1][2][3][4][5][7]",
        "caption": "The heart is enlarged. [1] The lungs are clear. [2]",
    }[prompt.task]


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    build(JsonLines(write_studies(folder, 16)), ReportEncoder(SEEN), folder / "index")
    return folder / "index"


@pytest.fixture(scope="module")
def retriever(index_dir: Path) -> Retriever:
    return Retriever.open(index_dir, ReportEncoder(SEEN))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with an adapter in it, as `finetune train` and the shipped one lie in a folder."""
    folder = write_mllama(tmp_path_factory.mktemp("model") / "tiny")
    write_adapter(folder / "adapter", folder)
    Calibration(language_model=0.2, knn=0.5, label_head=0.3, fitted_on="drawn val").write(
        folder / "adapter" / "calibration.json"
    )
    return folder


def a_writer(
    retriever: Retriever, model: Talking | None = None, **parts: Any
) -> LanguageModelBackend:
    model = model or Talking(script=says, adapter="its-adapter")
    return LanguageModelBackend(retriever, model, **parts)


def a_writing(retriever: Retriever, writer: LanguageModelBackend, **parts: Any) -> BackendRequest:
    request = GenerationRequest(**{"options": SearchOptions(k=10), **parts})
    image = read_radiograph(a_png(99, size=(96, 80)))
    query = image_query(retriever.encoder, [image])
    return BackendRequest(
        images=(image,),
        retrieval=writer.find(retriever, query, request.options),
        request=request,
        votes=retriever.vote(query),
    )


def an_app(tmp_path: Path, retriever: Retriever, writer: Any, **settings: Any) -> Litestar:
    return create_app(
        Settings(database_path=tmp_path / "app.sqlite3", **settings),
        retriever=retriever,
        backend=writer,
        decoding=DECODING,
    )


def send(client: Any, path: str, seed: int = 99, **data: Any) -> Any:
    given = {"question": "Is the heart enlarged?"} if path == "/answers" else {}
    files = {"images": ("a.png", a_png(seed, size=(96, 80)))}
    headers = data.pop("headers", {})
    return client.post(path, files=files, data=given | data, headers=headers, timeout=60)


def test_studies_of_all_tasks_share_one_batch(retriever: Retriever) -> None:
    model = Talking(script=says)
    writer = a_writer(retriever, model)
    tasks = ("report", "classify", "ask", "caption")
    writings = [
        a_writing(retriever, writer, task=task, question="Is the aorta tortuous?") for task in tasks
    ]
    written = list(writer.write(writings))
    made = {place: one for place, one in written if not isinstance(one, Token | TokenCount)}
    assert model.together == [3]
    assert sorted(made) == [0, 1, 2, 3]
    streamed = {
        place: "".join(one.text for at, one in written if at == place and isinstance(one, Token))
        for place in (0, 2, 3)
    }
    assert streamed == {n: says(Prompt(task=tasks[n], text="")) + " " for n in streamed}
    # The short answer is there before the long report has ended.
    ends = [place for place, one in written if not isinstance(one, Token | TokenCount)]
    assert ends == [1, 2, 3, 0]


def test_studies_join_texts_that_are_being_written(retriever: Retriever, tiny: Path) -> None:
    options = BackendOptions(model=str(tiny), decoding=DecodingOptions(max_new_tokens=24))
    writer = LanguageModelBackend.open(retriever, options)
    first, second, classes = (
        a_writing(retriever, writer, task=task) for task in ("report", "caption", "classify")
    )
    waiting: list[list[BackendRequest]] = [[second, classes], [], []]
    written = list(writer.write([first], more=lambda _: waiting.pop() if waiting else []))
    ends = {place: at for at, (place, one) in enumerate(written) if isinstance(one, GroundedReport)}
    assert sorted(ends) == [0, 1, 2]
    assert min(at for at, (place, _) in enumerate(written) if place == 1) < ends[0]
    texts = [
        "".join(one.text for at, one in written if at == place and isinstance(one, Token))
        for place in (0, 1)
    ]
    assert texts == [
        "".join(one.text for _, one in writer.write([alone]) if isinstance(one, Token))
        for alone in (first, second)
    ]


def test_what_is_stored_is_what_the_model_was_shown_and_cites(
    tmp_path: Path, retriever: Retriever
) -> None:
    with TestClient(an_app(tmp_path, retriever, a_writer(retriever)), base_url=HTTP) as client:
        made = send(client, "/reports", indication="dyspnea").json()
    assert [hit["number"] for hit in made["hits"]] == list(range(1, len(made["hits"]) + 1))
    assert 1 < len(made["hits"]) <= 9
    scores = [hit["score"] for hit in made["hits"]]
    assert scores == sorted(scores, reverse=True)
    cases = {hit["number"]: hit["case"] for hit in made["hits"]}
    cited = [c for one in made["statements"] for c in one["citations"]]
    assert cited and all(cases[c["number"]] == c["case"] for c in cited)
    first, added, last = made["statements"]
    assert (
        added["added_by_rule"]
        and added["text"] == "There is a pleural effusion."
        and added["citations"]
    )
    assert not any(one["added_by_rule"] for one in (first, last))
    assert first["grounded"] and first["text"] == "The heart is enlarged."
    assert any("“A mass of 9 cm.” (Lung Lesion absent" in note for note in made["notes"])
    assert {one["number"] for one in last["removed_citations"]} and last["citations"]
    assert made["generator"] == f"scripted + its-adapter, {PROMPT_VERSION}"
    origin = made["origin"]
    assert (origin["model"], origin["adapter"]) == ("scripted", "its-adapter")
    assert (origin["model_sha256"], origin["prompt_version"]) == ("5c" * 32, PROMPT_VERSION)
    assert origin["seed"] == 0
    assert origin["sampling"] == {"max_new_tokens": 160, "temperature": 0.0}


@pytest.mark.parametrize("k", [1, 3, 7])
def test_a_model_is_shown_no_more_cases_than_were_asked_for(
    tmp_path: Path, retriever: Retriever, k: int
) -> None:
    model = Talking(script=says)
    app = an_app(tmp_path, retriever, a_writer(retriever, model))
    with TestClient(app, base_url=HTTP) as client:
        made = send(client, "/reports", k=str(k)).json()
    assert 1 <= len(made["hits"]) <= k
    assert f"[{len(made['hits'])}]" in model.prompts[0].text
    assert f"[{len(made['hits']) + 1}] (" not in model.prompts[0].text


def test_search_rules_hold_for_the_cases_a_model_is_shown(
    tmp_path: Path, retriever: Retriever
) -> None:
    with TestClient(an_app(tmp_path, retriever, a_writer(retriever)), base_url=HTTP) as client:
        every = send(client, "/reports").json()
        best = every["hits"][0]["study_id"]
        without = send(client, "/reports", exclude_study=best).json()
        only = send(client, "/reports", label="Pleural Effusion").json()
        high = send(client, "/reports", min_score=str(every["hits"][1]["score"])).json()
    assert best not in {hit["study_id"] for hit in without["hits"]}
    # Every fourth drawn study has an effusion.
    assert {int(hit["study_id"][1:]) % 4 for hit in only["hits"]} == {1}
    assert [hit["study_id"] for hit in high["hits"]] == [
        hit["study_id"] for hit in every["hits"][: len(high["hits"])]
    ]
    assert len(high["hits"]) < len(every["hits"])


def test_a_prompt_that_is_too_long_fails_alone(retriever: Retriever) -> None:
    model = Talking(script=says)
    writer = a_writer(retriever, model)
    writings = [a_writing(retriever, writer, task="report", indication=i) for i in ("", "x" * 200)]
    list(writer.write(writings))
    model.longest = len(model.prompts[0].text)
    made = {
        place: one
        for place, one in writer.write(writings)
        if not isinstance(one, Token | TokenCount)
    }
    assert isinstance(made[1], PromptTooLongError)
    assert not isinstance(made[0], Exception)


def test_nothing_is_written_for_a_client_that_disconnected(retriever: Retriever) -> None:
    model = Talking(script=says)
    writer = a_writer(retriever, model)
    gone: set[int] = {0}
    writings = [
        BackendRequest(
            images=one.images,
            retrieval=one.retrieval,
            request=one.request,
            cancelled=lambda place=place: place in gone,
        )
        for place, one in enumerate([a_writing(retriever, writer)] * 3)
    ]
    made = []
    for place, _ in writer.write(writings):
        made.append(place)
        if made.count(1) == 2:
            gone.add(1)
    assert 0 not in made and made.count(1) == 2
    assert model.together == [2] and sorted(model.ended)[0] <= 3


def test_a_disconnected_client_stops_the_model_between_tokens(
    tmp_path: Path, retriever: Retriever
) -> None:
    began, words = threading.Event(), 100_000

    def script(_: Prompt) -> str:
        began.set()
        return "word " * words

    model = Talking(script=script, seconds=0.01)
    app = an_app(tmp_path, retriever, a_writer(retriever, model), capacity=1)
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        files = {"images": ("a.png", a_png(1, size=(96, 80)))}
        asked = client.build_request("POST", "/reports", files=files)
        head = [f"{name}: {value}" for name, value in asked.headers.items()]
        lines = ["POST /reports HTTP/1.1", *head, "", ""]
        with socket.create_connection((asked.url.host, asked.url.port)) as connection:
            connection.sendall("\r\n".join(lines).encode() + asked.read())
            assert began.wait(300), "the model did not begin"
        until = time.monotonic() + 300
        while not model.ended or client.get("/health/ready").status_code == 503:
            assert time.monotonic() < until, "the model went on"
            time.sleep(0.02)
        assert model.ended[0] < words
        assert client.get("/generations").json()["total"] == 0


def test_a_slow_model_refuses_the_excess_at_once(tmp_path: Path, retriever: Retriever) -> None:
    all_refused = threading.Event()

    def script(prompt: Prompt) -> str:
        assert all_refused.wait(60), "the excess waits for the model"
        return "word " * 10

    model = Talking(script=script)
    app = an_app(tmp_path, retriever, a_writer(retriever, model), capacity=4, max_batch=2)
    images = [a_png(seed, size=(96, 80)) for seed in range(12)]
    refused: list[bool] = []
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:

        def ask(image: bytes) -> int:
            answer = client.post("/reports", files={"images": ("a.png", image)})
            if answer.status_code == 503:
                refused.append("retry-after" in answer.headers)
                if len(refused) == 8:
                    all_refused.set()
            return answer.status_code

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, images))
    assert sorted(answers) == [201] * 4 + [503] * 8
    assert all(refused)
    assert max(model.together) <= 2


def test_more_studies_are_written_about_together_than_are_searched_for_together(
    tmp_path: Path, retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_searched = threading.Event()

    def script(prompt: Prompt) -> str:
        assert all_searched.wait(60), "the searches wait for the model"
        return "word"

    model = Talking(script=script)
    model.batch_size = 3
    writer = a_writer(retriever, model)
    find, searches = writer.find, itertools.count(1)

    def counted(*arguments: Any, **named: Any) -> Retrieval:
        if next(searches) == 7:
            all_searched.set()
        return find(*arguments, **named)

    monkeypatch.setattr(writer, "find", counted)
    app = an_app(tmp_path, retriever, writer, max_batch=1, max_written=writer.batch_size)
    images = [a_png(seed, size=(96, 80)) for seed in range(7)]
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:

        def ask(image: bytes) -> int:
            return client.post("/reports", files={"images": ("a.png", image)}).status_code

        with ThreadPoolExecutor(7) as pool:
            assert set(pool.map(ask, images)) == {201}
    assert sum(model.together) == 7 and max(model.together) == 3


def test_stopping_the_server_finishes_what_runs_and_parks_the_rest(
    tmp_path: Path, retriever: Retriever
) -> None:
    model = Talking(script=lambda _: "word " * 20, seconds=0.05)
    writer = a_writer(retriever, model)
    with ThreadPoolExecutor(1) as pool:
        with serving(an_app(tmp_path, retriever, writer, max_batch=1)) as address:
            client = httpx.Client(base_url=address)
            running = pool.submit(send, client, "/reports")
            while not model.together:
                time.sleep(0.01)
            later = send(httpx, f"{address}/reports", 5, headers={"prefer": "respond-async"})
            assert later.status_code == 202
        answer = running.result()
        client.close()
    assert answer.status_code == 201  # the server ended after it
    model.seconds = 0
    with TestClient(an_app(tmp_path, retriever, writer), base_url=HTTP) as client:
        assert client.get(answer.headers["location"]).json() == answer.json()
        until = time.monotonic() + 60
        while client.get(later.headers["location"]).status_code == 202:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert client.get(later.headers["location"]).json()["status"] == "done"


def a_record(**parts: Any) -> AdapterRecord:
    given = {
        "base_model": "scripted",
        "base_sha256": "5c" * 32,
        "prompt_version": PROMPT_VERSION,
        "index_fingerprint": "a" * 64,
        "encoder_sha256": "2" * 64,
    }
    return AdapterRecord(**(given | parts))


def test_an_adapter_of_another_encoder_is_refused_at_the_start(retriever: Retriever) -> None:
    a_writer(retriever, record=a_record())
    with pytest.raises(MismatchError, match="another encoder"):
        a_writer(retriever, record=a_record(encoder_sha256="3" * 64))


def test_a_reloaded_index_of_another_encoder_is_refused(
    tmp_path: Path, index_dir: Path, retriever: Retriever
) -> None:
    record = a_record()
    writer = a_writer(retriever, record=record)
    app = create_app(
        Settings(database_path=tmp_path / "app.sqlite3"),
        retriever=retriever,
        backend=writer,
        reopen=reopening(index_dir, writer.use),
    )
    with TestClient(app, base_url=HTTP) as client:
        before = client.get("/health").json()["index"]["fingerprint"]
        assert client.post("/index/reload").status_code == 200
        object.__setattr__(record, "encoder_sha256", "3" * 64)
        answer = client.post("/index/reload")
        assert answer.status_code == 409 and "another encoder" in answer.json()["detail"]
        assert client.get("/health").json()["index"]["fingerprint"] == before
        assert send(client, "/reports").status_code == 201


def test_each_study_of_a_batch_gets_its_own_text(
    tmp_path: Path, retriever: Retriever, tiny: Path
) -> None:
    """Batched and alone, all tasks, from several clients at once: nothing is mixed up."""
    options = DecodingOptions(max_new_tokens=12)
    writer = open_backend(retriever, BackendOptions(model=str(tiny), decoding=options))
    asked = [(path, seed) for seed in (1, 2, 3) for path in PATHS]

    def streamed(client: Any, path: str, seed: int) -> tuple[str, dict[str, Any]]:
        answer = send(client, path, seed, headers={"accept": "text/event-stream"})
        happened = parsed(answer.text)
        pieces = [data["text"] for event, data in happened if event == "token"]
        made = happened[-1][1]
        for name in ("id", "created_at"):
            made.pop(name)
        for one in made["observations"] or ():  # the last decimals depend on the company
            for name in ("probability", "language_model"):
                one[name] = round(one[name], 3)
        return "".join(pieces), made

    with serving(an_app(tmp_path, retriever, writer)) as address:
        with httpx.Client(base_url=address) as client:
            alone = [streamed(client, *one) for one in asked]
            again = client.get("/generations", params={"limit": 1}).json()["generations"][0]
            origin = client.get(f"/generations/{again['id']}").json()["origin"]
        with ThreadPoolExecutor(12) as pool, httpx.Client(base_url=address) as client:
            together = list(pool.map(lambda one: streamed(client, *one), asked))
    for (text, made), (text_alone, made_alone) in zip(together, alone, strict=True):
        assert (text, made["observations"]) == (text_alone, made_alone["observations"])
        assert made == made_alone
    assert {made["calibrated_on"] for _, made in alone} == {"drawn val"}
    assert origin["model"] == str(tiny) and origin["adapter"] == str(tiny / "adapter")
    assert len(origin["model_sha256"]) == len(origin["adapter_sha256"]) == 64
    assert origin["sampling"]["max_new_tokens"] == 12


def below_notice(text: str | None) -> str:
    """What stands below the notice that opens every answer."""
    opening, answer = (text or "").split("\n", 1)
    assert opening == NOTICE
    return answer


def test_the_chat_answers_questions_with_citations(tmp_path: Path, retriever: Retriever) -> None:
    image = a_png(99, size=(96, 80))
    app = an_app(tmp_path, retriever, a_writer(retriever))
    with (
        serving(app) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        assert [model.id for model in client.models.list()] == [
            "grounded-cxr",
            "grounded-cxr-ask",
            "grounded-cxr-classify",
            "grounded-cxr-caption",
        ]
        messages = [
            a_message(image, text="Here is an image."),
            {"role": "assistant", "content": "What is your question?"},
            {"role": "user", "content": "Is the heart enlarged?"},
        ]
        answer = client.chat.completions.create(model="grounded-cxr-ask", messages=messages)
        extra = answer.model_extra or {}
        numbers = "".join(f"[{one['number']}]" for one in extra["citations"])
        yes = f"Yes, cardiomegaly is seen (0.49). {numbers}"
        assert below_notice(answer.choices[0].message.content) == yes and numbers
        stored = httpx.get(f"{address}/generations/{extra['generation']}").json()
        assert stored["question"] == "Is the heart enlarged?"
        # the scripted model counts words; its prompt holds the retrieved cases
        assert answer.usage.completion_tokens == 0 and answer.usage.prompt_tokens > 50
        chunks = list(
            client.chat.completions.create(
                model="grounded-cxr-ask",
                messages=messages,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        assert chunks[-1].usage == answer.usage
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert below_notice(text) == yes
        last = chunks[-1].model_extra or {}
        assert below_notice(last["report"]) == yes
        assert last["citations"] == extra["citations"]
        caption = client.chat.completions.create(
            model="grounded-cxr-caption", messages=[a_message(image)]
        )
        written = below_notice(caption.choices[0].message.content)
        assert written.startswith("The heart is enlarged. [")
        classes = client.chat.completions.create(
            model="grounded-cxr-classify", messages=[a_message(image)]
        )
        assert classes.usage.completion_tokens == 0 and classes.usage.prompt_tokens > 500
        lines = below_notice(classes.choices[0].message.content).splitlines()
        assert len(lines) == 14 and lines[2].startswith("Cardiomegaly: 0.")
        with pytest.raises(openai.UnprocessableEntityError, match="question"):
            client.chat.completions.create(
                model="grounded-cxr-ask", messages=[a_message(image, text=" ")]
            )
