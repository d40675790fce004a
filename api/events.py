"""The steps to a text as they happen, for answers that are streams."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import msgspec
from litestar.response import ServerSentEventMessage

from api.middleware.problems import problem_of
from api.pipeline.backends import Token
from api.pipeline.pipeline import Stage, Tell
from api.schemas.generations import GenerationDocument
from db.app.generation import Generation


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What ended the work before its end."""

    error: Exception


class StreamEvent(msgspec.Struct, kw_only=True):
    """One server-sent event."""

    event: Literal["stage", "token", "report", "answer", "classification", "caption", "problem"]
    """`stage` and `token` come on the way; the last one is named for what was made."""
    data: str
    """JSON: `{"stage": ...}`, `{"text": ...}` (not checked yet), a generation or a problem."""


_MADE = {
    "report": "report",
    "ask": "answer",
    "classify": "classification",
    "caption": "caption",
}

Event = Stage | Token | Generation | Failure


async def events(work: Callable[[Tell], Awaitable[Generation]]) -> AsyncIterator[Event]:
    """Stages and tokens while the work runs, then its generation or its failure.

    The work is cancelled when nobody reads on.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[Event] = asyncio.Queue()

    def tell(event: Event) -> None:
        loop.call_soon_threadsafe(told.put_nowait, event)

    async def run() -> None:
        try:
            tell(await work(tell))
        except Exception as error:
            tell(Failure(error=error))

    task = asyncio.create_task(run())
    try:
        while True:
            event = await told.get()
            yield event
            if isinstance(event, Generation | Failure):
                return
    finally:
        task.cancel()


async def server_sent(
    happening: AsyncIterator[Event],
    document: Callable[[Generation], Awaitable[GenerationDocument]],
) -> AsyncIterator[ServerSentEventMessage]:
    """Events ``stage``, ``token``, and at the end one named for what was made or ``problem``, with
    JSON as data."""
    async for event in happening:
        if isinstance(event, str):
            yield _message("stage", {"stage": event})
        elif isinstance(event, Token):
            yield _message("token", {"text": event.text})
        elif isinstance(event, Failure):
            yield _message("problem", problem_of(event.error))
        else:
            yield _message(_MADE[event.task], await document(event))


def _message(event: str, data: object) -> ServerSentEventMessage:
    return ServerSentEventMessage(event=event, data=msgspec.json.encode(data).decode())
