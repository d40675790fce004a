"""POST /v1/chat/completions, asked by the client library that everybody uses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from api.pipeline.backends import ExtractiveBackend
from db.app.generation import NOTICE, OodCheck
from tests.support.service.clients import a_message
from tests.support.service.services import FakeRetriever, a_case, a_png, an_app, serving
from tests.support.service.writers import Talker


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(an_app(tmp_path_factory.mktemp("app"))) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


RADIOGRAPH = a_png(1, size=(64, 64))


def test_a_completion_is_the_report_with_its_citations(client: openai.OpenAI, address: str) -> None:
    tasks = ("", "-ask", "-classify", "-caption")
    names = [f"grounded-cxr{task}" for task in tasks]
    assert [model.id for model in client.models.list()] == names
    earlier = {"role": "assistant", "content": "Send me an image."}
    answer = client.chat.completions.create(
        model="grounded-cxr",
        messages=[earlier, a_message(RADIOGRAPH), {"role": "user", "content": "Now."}],
        temperature=0.5,
        extra_body={"k": 2},
    )
    assert answer.object == "chat.completion" and answer.choices[0].finish_reason == "stop"
    content = answer.choices[0].message.content
    assert content is not None
    assert content.startswith(
        f"{NOTICE}\nFINDINGS\nLungs drawn clear. [1]\nLungs drawn clear. [2]\nIMPRESS"
    )
    extra = answer.model_extra or {}
    assert [c["case"] for c in extra["citations"]] == ["drawn:s1", "drawn:s2"]
    assert "Research use only" in extra["notice"]
    import httpx

    stored = httpx.get(f"{address}/generations/{extra['generation']}").json()
    assert stored["options"]["k"] == 2 and len(stored["images_sha256"]) == 1


def test_a_stream_without_tokens_is_the_text_in_one_piece(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="grounded-cxr", messages=[a_message(RADIOGRAPH, RADIOGRAPH)], stream=True
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text.startswith(f"{NOTICE}\nFINDINGS\nLungs drawn clear. [1]")
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    extra = chunks[-1].model_extra or {}
    assert extra["report"] == text and extra["citations"] and extra["generation"]


def test_a_stream_of_tokens_ends_with_the_report_that_stands(tmp_path: Path) -> None:
    writer = Talker()
    writer.go.set()
    with (
        serving(an_app(tmp_path, backend=writer)) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        stream = client.chat.completions.create(
            model="grounded-cxr", messages=[a_message(RADIOGRAPH)], stream=True
        )
        chunks = list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks]
    assert pieces == [f"{NOTICE}\n", "Lungs ", "drawn ", "clear.", None]
    assert (chunks[-1].model_extra or {})["report"].startswith(f"{NOTICE}\nFINDINGS")


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="send one of grounded-cxr"):
        client.chat.completions.create(model="gpt-4o", messages=[a_message(RADIOGRAPH)])


def test_usage_counts_the_texts_sent_and_returned(client: openai.OpenAI) -> None:
    said = {"role": "user", "content": "Four words, one comma."}
    messages: list[Any] = [{"role": "user", "content": a_message(RADIOGRAPH)["content"][1:]}, said]
    answer = client.chat.completions.create(model="grounded-cxr-caption", messages=messages)
    assert answer.usage is not None and answer.usage.prompt_tokens == 6
    assert answer.usage.completion_tokens > len(NOTICE.split())
    assert answer.usage.total_tokens == 6 + answer.usage.completion_tokens
    *_, last = client.chat.completions.create(
        model="grounded-cxr-caption",
        messages=messages,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert last.usage == answer.usage


def test_an_answer_begins_with_the_notice_and_the_warning(tmp_path: Path) -> None:
    ood = OodCheck(in_distribution=False, score=-9.0, threshold=-1.0, reason="unlike the drawn.")
    writer = Talker()
    writer.go.set()
    app = an_app(tmp_path, FakeRetriever([a_case(1)], ood=ood), backend=writer)
    asked: dict[str, Any] = {"model": "grounded-cxr", "messages": [a_message(RADIOGRAPH)]}
    opening = f"{NOTICE}\nDo not rely on this: unlike the drawn.\n"
    with (
        serving(app) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        answer = client.chat.completions.create(**asked)
        chunks = list(client.chat.completions.create(**asked, stream=True))
    assert answer.choices[0].message.content.startswith(opening)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == f"{opening}Lungs drawn clear."


def test_without_a_language_model_the_assessment_answers(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "model": "grounded-cxr-ask",
        "messages": [a_message(RADIOGRAPH, text="Which side is the effusion on?")],
    }
    with (
        serving(an_app(tmp_path)) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        assert "grounded-cxr-ask" in [one.id for one in client.models.list()]
        content = client.chat.completions.create(**asked).choices[0].message.content
        chunks = list(client.chat.completions.create(**asked, stream=True))
    assert content.splitlines()[1].startswith("No pleural effusion is seen (0.")
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == content


def test_a_failure_reaches_the_client_as_its_own_exception(
    client: openai.OpenAI, tmp_path: Path
) -> None:
    bad = a_message(b"text")
    with pytest.raises(openai.UnprocessableEntityError, match="not an image"):
        client.chat.completions.create(model="grounded-cxr", messages=[bad])
    with pytest.raises(openai.APIError, match="not an image"):
        list(client.chat.completions.create(model="grounded-cxr", messages=[bad], stream=True))

    def break_down(_: Any) -> Any:
        raise RuntimeError("inner secret")

    with (
        serving(an_app(tmp_path, backend=ExtractiveBackend(break_down))) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as other,
        pytest.raises(openai.InternalServerError, match="the server failed"),
    ):
        other.chat.completions.create(model="grounded-cxr", messages=[a_message(RADIOGRAPH)])


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"role": "user", "content": "No image."}, openai.UnprocessableEntityError),
        (a_message(), openai.UnprocessableEntityError),
        (a_message(*[RADIOGRAPH] * 9), openai.APIStatusError),
        ({"role": "judge", "content": "?"}, openai.BadRequestError),
        ({"role": "user", "content": [{"type": "audio"}]}, openai.BadRequestError),
        *(
            (
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]},
                openai.UnprocessableEntityError,
            )
            for url in (
                "http://169.254.169.254/latest/meta-data",
                "file:///etc/passwd",
                "data:image/png,x",
                "data:image/png;base64,!!!",
                "data:image/png;base64,ü",
            )
        ),
    ],
)
def test_what_is_no_study_is_refused(
    client: openai.OpenAI, message: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        client.chat.completions.create(model="grounded-cxr", messages=[message])
