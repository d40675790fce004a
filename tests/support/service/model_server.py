"""A model server whose answers are scripted, in the form of OpenAI's API."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support.pacs import Answer, Asked, Scripted, answer, scripted

MODEL = "Drawn/VL-1B"
JSON = "application/json"
ModelAnswer = Answer | Callable[[Asked], Answer]


def listed(*names: str, **more: Any) -> bytes:
    """The answer of ``/v1/models``; ``more`` is in every entry."""
    return models_of(*(entry(name, **more) for name in names))


def entry(name: str, **more: Any) -> dict[str, Any]:
    """Of a list of models."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "drawn"} | more


def models_of(*entries: Mapping[str, Any]) -> bytes:
    return answer({"object": "list", "data": entries}, kind=JSON)


def chunk(text: str | None = None, finish: str | None = None, **delta: Any) -> bytes:
    """One event of a stream."""
    given = delta if text is None else {"content": text, **delta}
    choice = {"index": 0, "delta": given, "finish_reason": finish}
    body = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": MODEL}
    return b"data: " + json.dumps(body | {"choices": [choice]}).encode() + b"\n\n"


HEAD = (
    b"HTTP/1.1 200 Drawn\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
LAST = b"0\r\n\r\n"


def sized(data: bytes) -> bytes:
    """A chunk of a body of unknown length."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def streamed(*texts: str, finish: str = "stop") -> Iterator[bytes]:
    """A whole answer, piece by piece."""
    yield HEAD
    yield sized(chunk(role="assistant", content=""))
    for text in texts:
        yield sized(chunk(text))
    yield sized(chunk(finish=finish))
    yield sized(b"data: [DONE]\n\n")
    yield LAST


def completion(*texts: str, logprobs: Sequence[Mapping[str, float]] = ()) -> bytes:
    """A whole answer with one choice a text; ``logprobs``: token to log-probability, by choice."""
    choices = []
    for number, text in enumerate(texts):
        found = None
        if logprobs:
            tokens = [
                {"token": t, "logprob": v, "bytes": None} for t, v in logprobs[number].items()
            ]
            found = {"content": [{**tokens[0], "top_logprobs": tokens}], "refusal": None}
        message = {"role": "assistant", "content": text}
        choices.append(
            {"index": number, "message": message, "finish_reason": "stop", "logprobs": found}
        )
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL}
    return answer(body | {"choices": choices}, kind=JSON)


def failed(status: int, message: str = "drawn", **headers: str) -> bytes:
    return answer({"error": {"message": message}}, status=status, kind=JSON, **headers)


def body_of(asked: Asked) -> dict[str, Any]:
    return dict(json.loads(asked.body))


def text_of(asked: Asked) -> str:
    """The text of the prompt in a request."""
    (turn,) = body_of(asked)["messages"]
    (part,) = [one for one in turn["content"] if one["type"] == "text"]
    return str(part["text"])


@contextmanager
def model_server(
    *answers: ModelAnswer, models: ModelAnswer | None = None
) -> Iterator[tuple[str, list[Asked]]]:
    """Answers chat completions one after the other as told, the last answer again and again.

    Yields the address of the model and the requests for completions.
    """
    given = listed(MODEL, max_model_len=8192) if models is None else models
    chats: list[Asked] = []

    def reply(asked: Asked) -> Answer:
        if asked.target == "/v1/models":
            return given(asked) if callable(given) else given
        chats.append(asked)
        told = answers[min(len(chats), len(answers)) - 1]
        return told(asked) if callable(told) else told

    with scripted(reply) as server:
        yield address_of(server), chats


def address_of(server: Scripted, model: str = MODEL) -> str:
    return f"openai+{server.url.removesuffix('/dicom-web')}/v1#{model}"


def repeated(make: Callable[[], Iterable[bytes]]) -> Callable[[Asked], Answer]:
    """The same stream for every request; a stream can be sent once."""
    return lambda _: make()
