"""Wire types of OpenAI's chat completions, as far as they mean something here."""

import base64
import binascii
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from api.generation_schemas import CitationDocument
from api.uploads import Upload
from db.errors import UserError
from generator.grounded import NOTICE

MODEL = "grounded-cxr"


class TextPart(msgspec.Struct, kw_only=True, tag="text", tag_field="type"):
    """Words of a message."""

    text: str


class ImageUrl(msgspec.Struct, kw_only=True):
    """An image, inside its address."""

    url: Annotated[
        str,
        msgspec.Meta(
            description="`data:image/png;base64,...`, or another film; no other address is opened.",
            examples=["data:image/png;base64,iVBORw0KGgo="],
        ),
    ]


class ImagePart(msgspec.Struct, kw_only=True, tag="image_url", tag_field="type"):
    """An image of a message."""

    image_url: ImageUrl


class ChatMessage(msgspec.Struct, kw_only=True):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart | ImagePart]


class ChatRequest(msgspec.Struct, kw_only=True):
    """A conversation whose last message with images holds the films of one study."""

    messages: Annotated[list[ChatMessage], msgspec.Meta(min_length=1, max_length=100)]
    model: str = MODEL
    """Named in the answer; there is one only."""
    stream: bool = False
    k: Annotated[int, msgspec.Meta(ge=1, le=100, description="Number of hits.")] = 10

    def uploads(self) -> list[Upload]:
        """The films. Raises UserError for none, or one that is not in its address."""
        for message in reversed(self.messages):
            parts = [] if isinstance(message.content, str) else message.content
            images = [part for part in parts if isinstance(part, ImagePart)]
            if images:
                return [
                    Upload(name=f"image {number}", data=_decode(image.image_url.url, number))
                    for number, image in enumerate(images, start=1)
                ]
        raise UserError(
            "no film was sent: add a part {type: image_url} with a data URL to a message"
        )


class AnswerMessage(msgspec.Struct, kw_only=True):
    """What the assistant says."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(msgspec.Struct, kw_only=True):
    """The one answer."""

    index: int = 0
    message: AnswerMessage
    finish_reason: Literal["stop"] = "stop"


class ChatCompletion(msgspec.Struct, kw_only=True):
    """The report as an answer; the last three fields are this service's own."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    generation: UUID
    """The stored report: `GET /generations/{generation}`."""
    citations: list[CitationDocument]
    """What the `[n]` of the text stand for."""
    notice: str = NOTICE


class ModelEntry(msgspec.Struct, kw_only=True):
    """The model that can be named in a request."""

    id: str = MODEL
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = MODEL


class ModelList(msgspec.Struct, kw_only=True):
    """All models: one."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]


def _decode(url: str, number: int) -> bytes:
    head, comma, data = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise UserError(
            f"image {number} is not in its address: send data:image/png;base64,... (no other "
            "address is opened)"
        )
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UserError(f"image {number} is no valid base64: send it again") from error
