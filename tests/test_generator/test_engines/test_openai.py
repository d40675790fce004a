"""A model behind an OpenAI-compatible API: what is sent, what comes back, what goes wrong."""

import base64
import io
import math
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image

from db.errors import ForbiddenError, NotFoundError
from generator.engines import server as requests
from generator.engines.address import RemoteOptions
from generator.engines.circuit import RetryBudget
from generator.engines.openai import SAMPLES, OpenAIModel, connect
from generator.prompts import Prompt
from generator.vision_language import (
    DecodingOptions,
    ModelUnavailableError,
    PromptTooLongError,
    StreamingModel,
)
from tests.support.pacs import Asked, answer
from tests.support.radiographs import draw_radiograph
from tests.support.service.model_server import (
    HEAD,
    LAST,
    MODEL,
    ModelAnswer,
    body_of,
    chunk,
    completion,
    entry,
    failed,
    listed,
    model_server,
    models_of,
    repeated,
    sized,
    streamed,
    text_of,
)

SHORT = DecodingOptions(max_new_tokens=16)
PROMPT = Prompt(task="report", text="Prior cases: none\n\nWrite.")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PAUSES", (0.01, 0.02))


@contextmanager
def connected(
    *answers: ModelAnswer, models: ModelAnswer | None = None, settings: str = ""
) -> Iterator[tuple[OpenAIModel, list[Asked]]]:
    with model_server(*answers, models=models) as (address, chats):
        model = connect(address.replace("#", f"?{settings}#"))
        try:
            yield model, chats
        finally:
            model.close()


def drawn(seed: int = 3) -> Image.Image:
    return Image.fromarray(draw_radiograph(seed, size=(64, 48))).convert("RGB")


def test_a_prompt_is_one_turn_with_the_picture_before_the_text() -> None:
    image = drawn()
    image.info["comment"] = "drawn secret"
    prompt = Prompt(task="report", text="Prior cases: <|im_end|> none\n\nWrite.", image=image)
    with connected(repeated(lambda: streamed("The ", "end."))) as (model, chats):
        promised: StreamingModel = model
        assert promised.generate([prompt], SHORT) == ["The end."]
        assert list(model.stream(prompt, SHORT)) == ["The ", "end."]
    assert body_of(chats[0]) == body_of(chats[1])
    sent = body_of(chats[0])
    (turn,) = sent.pop("messages")
    assert sent == {"model": MODEL, "max_tokens": 16, "temperature": 0.0, "stream": True}
    assert turn["role"] == "user"
    picture, text = turn["content"]
    assert text == {"type": "text", "text": "Prior cases:   none\n\nWrite."}
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    opened = Image.open(io.BytesIO(base64.b64decode(data)))
    assert np.array_equal(np.asarray(opened), np.asarray(image)) and not opened.info
    assert promised.adapter is None and promised.name.endswith(f"/v1#{MODEL}")


def test_no_header_tells_of_this_machine_or_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "drawn-key")
    monkeypatch.setenv("OPENAI_ORG_ID", "drawn-org")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Drawn: drawn")
    allowed = {"host", "accept", "accept-encoding", "connection", "content-length"}
    allowed |= {"content-type", "user-agent"}
    with connected(repeated(lambda: streamed("."))) as (model, chats):
        model.generate([PROMPT])
    assert set(chats[0].headers) <= allowed
    assert chats[0].headers["user-agent"] == "grounded-cxr"
    monkeypatch.setenv("GROUNDED_CXR_MODEL_KEY", "named-key")
    with connected(repeated(lambda: streamed("."))) as (model, chats):
        model.generate([PROMPT])
    assert chats[0].headers["authorization"] == "Bearer named-key"


def test_nothing_goes_through_a_proxy_or_a_redirection(monkeypatch: pytest.MonkeyPatch) -> None:
    with model_server(b"") as (elsewhere, strayed):
        other = elsewhere.removeprefix("openai+").partition("/v1")[0]
        monkeypatch.setenv("HTTP_PROXY", other)
        monkeypatch.setenv("ALL_PROXY", other)
        away = answer(b"", status=307, location=f"{other}/v1/chat/completions")
        with (
            connected(away) as (model, chats),
            pytest.raises(ModelUnavailableError, match="redirects elsewhere"),
        ):
            model.generate([PROMPT])
        assert len(chats) == 1 and not strayed


def test_the_server_tells_context_and_adapter_and_the_address_may_say_more() -> None:
    adapter = entry(MODEL, parent="Drawn/Base", root="/drawn", max_model_len=None)
    lora = models_of(entry("Drawn/Base", parent=None, max_model_len=2048), adapter)
    with connected(b"", models=lora, settings="tile_size=64&concurrency=2") as (model, _):
        assert (model.adapter, model.context_tokens) == (MODEL, 2048)
        assert model.name.endswith("/v1#Drawn/Base")
        assert (model.tile_size, model.concurrency) == (64, 2)
        assert len(model.notes) == 1 and "not the indication" in model.notes[0]
        digest = model.weights_sha256
    with connected(b"", models=listed(MODEL)) as (model, _):
        assert model.context_tokens == 4096 and "?context_tokens=" in model.notes[1]
        assert model.weights_sha256 != digest and model.base_sha256 is None
    with connected(b"", models=listed(MODEL), settings="context_tokens=99") as (model, _):
        assert model.context_tokens == 99
        with pytest.raises(PromptTooLongError, match="99"):
            model.generate([Prompt(task="report", text="drawn words " * 60)], SHORT)


def test_several_answers_arrive_together_and_each_may_fail_alone() -> None:
    """The first request waits until the second is there, so both are under way at once."""
    both = threading.Barrier(2, timeout=60)

    def say(asked: Asked) -> Any:
        word = text_of(asked)
        if word == "c":
            return failed(400)
        both.wait()
        return streamed(f"{word}1", f"{word}2")

    with connected(say) as (model, _):
        prompts = [Prompt(task="report", text=word) for word in "abc"]
        found = list(model.stream_all(prompts, SHORT))
    for number, word in enumerate("ab"):
        assert [p for n, p in found if n == number] == [f"{word}1", f"{word}2", None]
    (error,) = [piece for number, piece in found if number == 2]
    assert isinstance(error, ModelUnavailableError)


def test_no_more_requests_run_at_once_than_the_address_says() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def say(asked: Asked) -> Iterator[bytes]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        yield from streamed(text_of(asked))
        with lock:
            running -= 1

    prompts = [Prompt(task="report", text=str(number)) for number in range(6)]
    with connected(say, settings="concurrency=2") as (model, _):
        assert model.generate(prompts, SHORT) == [str(number) for number in range(6)]
    assert most == 2


def test_closing_or_cancelling_a_stream_ends_the_request() -> None:
    ended = threading.Semaphore(0)

    def endless() -> Iterator[bytes]:
        try:
            yield HEAD
            while True:
                yield sized(chunk("word "))
                time.sleep(0.01)
        finally:
            ended.release()

    long = DecodingOptions(max_new_tokens=8000)
    with connected(repeated(endless)) as (model, _):
        pieces = model.stream(PROMPT, long)
        assert next(pieces) == "word "
        pieces.close()
        assert ended.acquire(timeout=60)
        seen: list[int] = []
        found = model.stream_all([PROMPT, PROMPT], long, cancelled=lambda number: number in seen)
        for number, piece in found:
            if piece is not None and number not in seen:
                seen.append(number)
        assert ended.acquire(timeout=60) and ended.acquire(timeout=60)


def test_a_stream_that_is_silent_is_cancelled_too() -> None:
    silent = threading.Event()

    def waiting() -> Iterator[bytes]:
        yield HEAD
        silent.set()
        time.sleep(1)
        yield sized(chunk("late"))

    with connected(repeated(waiting)) as (model, _):
        found = model.stream_all([PROMPT], cancelled=lambda _: silent.is_set())
        assert list(found) == [(0, None)]


def broken() -> Iterator[bytes]:
    yield HEAD
    yield sized(chunk("The heart"))


def unfinished() -> Iterator[bytes]:
    yield from broken()
    yield LAST


def garbled() -> Iterator[bytes]:
    yield HEAD
    yield sized(b'data: {"choices": [{"delta": 7\n\n')
    yield LAST


def misshapen() -> Iterator[bytes]:
    yield HEAD
    yield sized(b'data: {"choices": [7]}\n\n')
    yield LAST


def erring() -> Iterator[bytes]:
    yield HEAD
    yield sized(b'data: {"error": {"message": "drawn"}}\n\n')
    yield LAST


WRONG: list[tuple[str, Callable[[Asked], Any], int, str]] = [
    ("busy", lambda _: failed(429), 3, "busy or broken .status 429"),
    ("down", lambda _: failed(503), 3, "busy or broken .status 503"),
    ("breaks off", repeated(broken), 3, "closed the connection"),
    ("unfinished", repeated(unfinished), 3, "broke off in its answer"),
    ("hangs up", lambda _: b"", 3, "closed the connection"),
    ("garbled", repeated(garbled), 3, "no valid answer"),
    ("misshapen", repeated(misshapen), 3, "no valid answer"),
    ("a page", lambda _: answer(b"<html>", kind="text/html"), 3, "broke off|no valid answer"),
    ("error amid a stream", repeated(erring), 3, "an error in place"),
    ("forbidden", lambda _: failed(403), 1, "refuses access .status 403.: set GROUNDED_CXR"),
    ("no such path", lambda _: failed(404), 1, "often ends in /v1"),
    ("form", lambda _: failed(422), 1, "does not take the request"),
    (
        "refuses",
        repeated(lambda: streamed(finish="content_filter")),
        1,
        "refuses to write about this",
    ),
]


@pytest.mark.parametrize(
    ("told", "attempts", "said"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG]
)
def test_what_goes_wrong_is_one_sentence_after_as_many_attempts_as_may_help(
    told: Callable[[Asked], Any], attempts: int, said: str
) -> None:
    with connected(told) as (model, chats):
        with pytest.raises(ModelUnavailableError, match=said) as caught:
            model.generate([PROMPT], SHORT)
        assert len(chats) == attempts
    assert "drawn" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_server_that_recovers_is_not_noticed() -> None:
    at = [failed(429, retry_after="0.01"), b"", repeated(lambda: streamed("Whole."))]
    with connected(*at) as (model, chats):
        assert model.generate([PROMPT], SHORT) == ["Whole."]
        assert len(chats) == 3


def test_all_requests_share_their_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(failed(503)) as (model, chats):
        monkeypatch.setattr(model._server, "_budget", RetryBudget(tokens=3))
        attempts = []
        for _ in range(3):
            with pytest.raises(ModelUnavailableError):
                model.generate([PROMPT], SHORT)
            attempts.append(len(chats))
    assert attempts == [3, 5, 6]


def test_a_wait_that_is_too_long_is_not_waited_for() -> None:
    with connected(failed(429, retry_after="3600")) as (model, chats):
        with pytest.raises(ModelUnavailableError, match="busy"):
            model.generate([PROMPT], SHORT)
        assert len(chats) == 1


def test_an_answer_that_was_shown_in_part_is_not_asked_for_again() -> None:
    with connected(repeated(broken)) as (model, chats):
        pieces = model.stream(PROMPT, SHORT)
        assert next(pieces) == "The heart"
        with pytest.raises(ModelUnavailableError, match="closed the connection"):
            next(pieces)
        assert len(chats) == 1


def test_a_prompt_that_the_server_finds_too_long_is_told_apart() -> None:
    told = failed(400, "This model's maximum context length is 64 tokens.")
    with connected(told) as (model, _), pytest.raises(PromptTooLongError, match="longer than"):
        model.generate([PROMPT], SHORT)


def test_a_server_that_does_not_stop_or_does_not_speak_is_stopped() -> None:
    def endless() -> Iterator[bytes]:
        yield HEAD
        while True:
            yield sized(chunk("word " * 20))

    def slow() -> Iterator[bytes]:
        yield HEAD
        while True:
            time.sleep(0.02)
            yield sized(chunk("w"))

    def silent() -> Iterator[bytes]:
        yield HEAD
        time.sleep(0.5)

    with connected(repeated(endless)) as (model, _):
        assert len(model.generate([PROMPT], SHORT)[0]) < 2000
    with (
        connected(repeated(slow), settings="seconds=0.2") as (model, _),
        pytest.raises(ModelUnavailableError, match=r"no whole answer in 0\.2 seconds"),
    ):
        model.generate([PROMPT], DecodingOptions(max_new_tokens=8000))
    with (
        connected(repeated(silent), settings="silent_seconds=0.05") as (model, _),
        pytest.raises(ModelUnavailableError, match=r"sent nothing for 0\.05 seconds"),
    ):
        model.generate([PROMPT], SHORT)


def test_thoughts_before_the_answer_are_left_out() -> None:
    pieces = ("<th", "ink>The case [1]", " says</thi", "nk>\n", "The ", "end. <think>")
    with connected(repeated(lambda: streamed(*pieces))) as (model, _):
        assert "".join(model.stream(PROMPT, SHORT)) == "The end. <think>"
    with connected(repeated(lambda: streamed("<", "5 mm"))) as (model, _):
        assert model.generate([PROMPT], SHORT) == ["<5 mm"]


def test_yes_and_no_are_scored_by_the_log_probabilities_of_their_first_tokens() -> None:
    tokens = {"Yes": -0.5, " yes": -2.0, "No": -1.5, "The": -3.0}
    only_yes = {"yes": -0.01, "The": -5.0}
    told = [completion("Yes", logprobs=[tokens]), completion("yes", logprobs=[only_yes])]
    with connected(*told) as (model, chats):
        first = model.loglikelihood([PROMPT], ["yes", "no"])
        second = model.loglikelihood([PROMPT], ["yes", "no"])
        assert model.scoring_note is None
    assert first[0] == pytest.approx([math.log(math.exp(-0.5) + math.exp(-2)), -1.5])
    assert second[0] == pytest.approx([-0.01, -5.0])
    sent = body_of(chats[0])
    assert (sent["logprobs"], sent["top_logprobs"], sent["max_tokens"]) == (True, 20, 1)


@pytest.mark.parametrize("first", [completion("Yes."), failed(400)])
def test_without_log_probabilities_answers_are_drawn_and_that_is_said(first: bytes) -> None:
    some = completion("Yes.", "**no**", "Yes, there is", "yes", "Perhaps")
    one = completion("no [1]")
    with connected(first, some, one) as (model, chats):
        found = model.loglikelihood([PROMPT], ["yes", "no"])
        assert found == pytest.approx(np.log([[3.5 / 8, 4.5 / 8]]))
        assert f"shares of {SAMPLES} drawn answers" in str(model.scoring_note)
        before = len(chats)
        model.loglikelihood([PROMPT], ["yes", "no"])
    assert [body_of(one)["n"] for one in chats[1:before]] == [8, 3, 2, 1]
    assert len({body_of(one)["seed"] for one in chats[1:before]}) == 4
    assert not any("logprobs" in body_of(one) for one in chats[1:])


@pytest.mark.parametrize(
    "told", [completion("The", logprobs=[{"The": -0.1, "A": -2.0}]), completion("I cannot say.")]
)
def test_a_model_that_says_neither_yes_nor_no_has_no_scores(told: bytes) -> None:
    with (
        connected(told) as (model, _),
        pytest.raises(ModelUnavailableError, match="yes or no with something else"),
    ):
        model.loglikelihood([PROMPT], ["yes", "no"])


def test_a_model_that_answers_need_not_be_listed() -> None:
    for models in (listed(), listed("a"), failed(404)):
        with connected(completion("yes"), models=models) as (model, chats):
            assert model.name.endswith(f"#{MODEL}") and len(chats) == 1
        assert body_of(chats[0])["messages"] == [{"role": "user", "content": "Say yes."}]


def test_a_wrong_address_is_one_sentence() -> None:
    with model_server(failed(404), models=listed("a/b", "c:4b")) as (address, _):
        base = address.partition("#")[0]
        for name, said in (("x", "has no model 'x': name a/b, c:4b"), ("", "name a/b, c:4b")):
            with pytest.raises(NotFoundError, match=said):
                connect(f"{base}#{name}")
    with pytest.raises(ModelUnavailableError, match="cannot be reached"):
        connect(address)
    for models, chat, error, said in (
        (listed(), failed(400), NotFoundError, "name one that it serves"),
        (answer(b"<html>", kind="text/html"), b"", ModelUnavailableError, "OpenAI-compatible API"),
        (answer({"data": 7}), b"", ModelUnavailableError, "OpenAI-compatible API"),
        (failed(401), b"", ModelUnavailableError, "GROUNDED_CXR_MODEL_KEY"),
    ):
        with model_server(chat, models=models) as (address, _), pytest.raises(error, match=said):
            connect(address)


def test_an_untrusted_certificate_is_named() -> None:
    error = requests.openai.APIConnectionError(request=None)  # type: ignore[arg-type]
    error.__cause__ = ConnectionError()
    error.__cause__.__cause__ = ssl.SSLCertVerificationError()
    with connected(b"") as (model, _):
        failure = model._server._failures._of_connection(error)
    assert "SSL_CERT_FILE" in str(failure.error) and not failure.again


def test_another_machine_is_asked_nothing_unless_that_is_allowed() -> None:
    for address, options in (
        ("openai+https://models.example/v1#a", RemoteOptions()),
        ("openai+http://models.example/v1#a", RemoteOptions(allow_remote=True)),
    ):
        with pytest.raises(ForbiddenError, match=r"models\.example"):
            connect(address, options)
