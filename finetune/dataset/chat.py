"""Conversations about images, as OpenAI, Hugging Face, LLaVA and ShareGPT write them.

    chat = read_chat(row["messages"], images, folder)
    chat.turns[0].question, chat.turns[0].answer

Messages have ``role`` and ``content``, or ``from`` and ``value``. An image is a part of a content,
or the mark ``<image>`` in a text, which stands for the next image of the row. Every question is an
example of its own, as the service asks it: with the images up to it and without the turns before
it. A question with no words asks for a report.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.files import parse_json
from finetune.dataset.images import Images, images_in

IMAGE_MARK = "<image>"
_ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "system": "system",
}
_PAYLOADS = ("image", "image_url", "url", "path", "base64", "bytes")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A question and its answer."""

    question: str | None
    """None where the answer describes the images without a question."""
    answer: str
    images: int
    """How many images of the row there are up to here."""


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A conversation with all its images in their order."""

    turns: tuple[Turn, ...]
    images: Images
    system: bool


def is_chat(value: Any) -> bool:
    """Whether a value is a list of messages, or such a list as JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            value = parse_json(value)
        except ValueError:
            return False
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, Mapping) and ("role" in one or "from" in one) for one in value)
    )


def read_chat(value: Any, given: Images, folder: Path | None) -> Chat:
    """``given`` are the images beside the conversation. Raises ValueError for one that is not
    questions and answers in turn, each with an image."""
    if not is_chat(value):
        raise ValueError("it is no conversation: a list of messages with role and content")
    messages = parse_json(value) if isinstance(value, str) else value
    waiting = list(given)
    images: list[Path | bytes] = []
    marked = any(_is_mark(part) for _, parts in _messages(messages) for part in parts)
    if not marked:
        images, waiting = waiting, []
    turns: list[Turn] = []
    question: str | None = None
    system = False
    for role, parts in _messages(messages):
        if role == "system":
            system = True
            continue
        if role == ("user" if question is not None else "assistant"):
            raise ValueError("its questions and answers do not alternate")
        words = []
        for part in parts:
            if isinstance(part, str):
                words.append(part)
            elif role == "assistant":
                raise ValueError("an answer holds an image, which no model here writes")
            elif (payload := _payload(part)) is not None:
                images += images_in(payload, folder)
            elif waiting:
                images.append(waiting.pop(0))
            else:
                raise ValueError(f"it names more images than the {len(given)} of the row")
        text = " ".join(" ".join(words).split())
        if role == "user":
            question = text
        elif not text:
            raise ValueError("an answer is empty")
        elif not images:
            raise ValueError("a question has no image")
        else:
            turns.append(Turn(question=question or None, answer=text, images=len(images)))
            question = None
    if waiting:
        raise ValueError(f"it names {len(given) - len(waiting)} of the {len(given)} images")
    if question is not None or not turns:
        raise ValueError("its last question has no answer" if turns else "it has no answer")
    return Chat(turns=tuple(turns), images=tuple(images), system=system)


Part = str | Mapping[str, Any]
"""A text, or an image."""


def _messages(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[Part]]]:
    for message in messages:
        stated = message.get("role") or message.get("from")
        role = _ROLES.get(str(stated).lower())
        if role is None:
            raise ValueError(f"a message is from '{stated}': only user, assistant and system speak")
        content = message.get("content") if "content" in message else message.get("value")
        yield role, list(_parts(content))


def _parts(content: Any) -> Iterator[Part]:
    if isinstance(content, str):
        for place, text in enumerate(content.split(IMAGE_MARK)):
            if place:
                yield {"type": "image"}
            if text.strip():
                yield text
        return
    if not isinstance(content, list):
        raise ValueError("the content of a message is neither text nor a list of parts")
    for part in content:
        if isinstance(part, str):
            yield from _parts(part)
        elif not isinstance(part, Mapping):
            raise ValueError("a part of a message is neither text nor image")
        elif str(part.get("type", "")).endswith("text") or isinstance(part.get("text"), str):
            if not isinstance(part.get("text"), str):
                raise ValueError("a part of a message has no text")
            yield from _parts(part["text"])
        elif "image" in str(part.get("type", "")) or _payload(part) is not None:
            yield part
        else:
            raise ValueError(f"a part of a message is of type '{part.get('type')}'")


def _is_mark(part: Part) -> bool:
    return not isinstance(part, str)


def _payload(part: Mapping[str, Any]) -> Any:
    """The image that a part holds itself; None for a mark."""
    found = next((part[name] for name in _PAYLOADS if part.get(name) is not None), None)
    if isinstance(found, Mapping) and isinstance(found.get("url"), str):
        return found["url"]
    return found
