"""Wire types of OpenAI's chat completions; fields without a meaning here are ignored."""

import re
from collections.abc import Collection, Iterable
from typing import Annotated, Literal, Self
from uuid import UUID

import msgspec

from api.pipeline.backends import TokenCount
from api.schemas.fields import HitCountField, SensitivityField
from db.app.generation import NOTICE, Citation
from db.errors import NotFoundError, UserError
from generator.prompts import Task
from generator.request import GenerationRequest
from retriever.options import SearchOptions

MODEL = "grounded-cxr"
_TASKS: dict[str, Task] = {
    MODEL: "report",
    f"{MODEL}-ask": "ask",
    f"{MODEL}-classify": "classify",
    f"{MODEL}-caption": "caption",
}
"""Model name to task: chat clients can choose nothing else."""


class TextPart(msgspec.Struct, kw_only=True, tag="text", tag_field="type"):
    """Text in a message."""

    text: str


class ImageUrl(msgspec.Struct, kw_only=True):
    """An image as a data URL."""

    url: Annotated[
        str,
        msgspec.Meta(
            description="A data URL, as `data:image/png;base64,...`; other URLs are not opened.",
            examples=["data:image/png;base64,iVBORw0KGgo="],
        ),
    ]


class ImagePart(msgspec.Struct, kw_only=True, tag="image_url", tag_field="type"):
    """An image in a message."""

    image_url: ImageUrl


class ChatMessage(msgspec.Struct, kw_only=True):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart | ImagePart]


class StreamOptions(msgspec.Struct, kw_only=True):
    """As OpenAI's clients send them."""

    include_usage: bool = False


class ChatRequest(msgspec.Struct, kw_only=True):
    """A conversation whose last message with images holds the images of one study.

    With the model `grounded-cxr-ask` the user's last text is the question.
    """

    messages: Annotated[list[ChatMessage], msgspec.Meta(min_length=1, max_length=100)]
    model: str = MODEL
    """One of `GET /v1/models`; any other name is answered with 404."""
    stream: bool = False
    stream_options: StreamOptions | None = None
    k: HitCountField = 10
    sensitivity: SensitivityField = "balanced"

    def request(self) -> GenerationRequest:
        """Raises NotFoundError for an unknown model, UserError for a missing or long question."""
        task = _TASKS.get(self.model)
        if task is None:
            known = ", ".join(_TASKS)
            raise NotFoundError(f"there is no model of this name: send one of {known}")
        return GenerationRequest(
            options=SearchOptions(k=self.k),
            task=task,
            question=self._last_text() if task == "ask" else None,
            sensitivity=self.sensitivity,
        )

    @property
    def texts(self) -> list[str]:
        """The texts of all messages."""
        found: list[str] = []
        for message in self.messages:
            parts = message.content
            if isinstance(parts, str):
                found.append(parts)
            else:
                found += [part.text for part in parts if isinstance(part, TextPart)]
        return found

    def _last_text(self) -> str:
        for message in reversed(self.messages):
            parts = message.content
            if message.role == "user":
                if isinstance(parts, str):
                    return parts
                if text := " ".join(part.text for part in parts if isinstance(part, TextPart)):
                    return text
        return ""

    def images(self) -> list[str]:
        """Return the images of the last message that has some, in base64.

        Raises UserError if there are none, or one is not a data URL.
        """
        for message in reversed(self.messages):
            parts = [] if isinstance(message.content, str) else message.content
            urls = [part.image_url.url for part in parts if isinstance(part, ImagePart)]
            if urls:
                return [_data(url, number) for number, url in enumerate(urls, start=1)]
        raise UserError(
            "no image was sent: add a part {type: image_url} with a data URL to a message"
        )


class AnswerMessage(msgspec.Struct, kw_only=True):
    """The assistant's message."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(msgspec.Struct, kw_only=True):
    """The one answer."""

    index: int = 0
    message: AnswerMessage
    finish_reason: Literal["stop"] = "stop"


class Usage(msgspec.Struct, kw_only=True):
    """Tokens that the language model read, with the retrieved cases, and wrote before the check.

    Images are not counted. Without a language model: words and punctuation marks of the texts sent
    and returned.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, tokens: TokenCount | None, sent: Iterable[str], returned: str) -> Self:
        if tokens is None:
            prompt, completion = sum(map(_count, sent)), _count(returned)
        else:
            prompt, completion = tokens.prompt, tokens.completion
        return cls(
            prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
        )


def _count(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


class ChatCompletion(msgspec.Struct, kw_only=True):
    """The report as a chat completion; the last three fields are extensions of this service."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    generation: UUID
    """The stored report: `GET /generations/{generation}`."""
    citations: list[Citation]
    """What the `[n]` of the text stand for."""
    notice: str = NOTICE


class ModelEntry(msgspec.Struct, kw_only=True):
    """A model that can be named in a request."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = MODEL


class ModelList(msgspec.Struct, kw_only=True):
    """One model per task of this server."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]

    @classmethod
    def of(cls, tasks: Collection[Task]) -> Self:
        return cls(data=[ModelEntry(id=name) for name, task in _TASKS.items() if task in tasks])


def _data(url: str, number: int) -> str:
    head, comma, data = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise UserError(
            f"image {number} is not a data URL: send data:image/png;base64,... (other URLs "
            "are not opened)"
        )
    return data
