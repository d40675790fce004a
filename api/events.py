"""Progress events of a generation, for streamed answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import msgspec
from litestar.response import ServerSentEventMessage

from api.export.text import warning_lines
from api.middleware.problems import problem_of
from api.pipeline.backends import Token, TokenCount
from api.pipeline.stages import Emit, Progress, WarningLine
from db.app.generation import NOTICE, Generation
from generator.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The error that ended the work."""

    error: Exception


class StreamEvent(msgspec.Struct, kw_only=True):
    """One server-sent event."""

    event: Literal[
        "notice",
        "warning",
        "stage",
        "token",
        "report",
        "answer",
        "classification",
        "caption",
        "problem",
    ]
    """`notice`, the research-use line, comes first; `warning`, of images unlike the indexed ones,
    before any token. `stage` and `token` report progress; the last event is named after the
    result."""
    data: str
    """JSON: `{"stage": ...}`, `{"text": ...}` (tokens are not checked yet), a generation or a
    problem."""


Event = Progress | Generation | Failure


async def events(work: Callable[[Emit], Awaitable[Generation]]) -> AsyncIterator[Event]:
    """Yield stages and tokens while the work runs, then its generation or its failure.

    The work is cancelled when the reader stops.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Event] = asyncio.Queue()

    def emit(event: Event) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, event)

    async def run() -> None:
        try:
            emit(await work(emit))
        except Exception as error:
            emit(Failure(error=error))

    task = asyncio.create_task(run())
    try:
        while True:
            event = await queue.get()
            yield event
            if isinstance(event, Generation | Failure):
                return
    finally:
        task.cancel()


async def server_sent(
    progress: AsyncIterator[Event],
    document: Callable[[Generation], Awaitable[Generation]],
) -> AsyncIterator[ServerSentEventMessage]:
    """Yield ``notice``, then ``stage``, ``warning`` and ``token`` events, then one named after the
    result, or ``problem``.

    Data are JSON objects.
    """
    yield _message("notice", {"text": NOTICE})
    known: set[str] = set()
    async for event in progress:
        if isinstance(event, str):
            yield _message("stage", {"stage": event})
        elif isinstance(event, Token):
            yield _message("token", {"text": event.text})
        elif isinstance(event, TokenCount):
            continue
        elif isinstance(event, WarningLine):
            known.add(event.text)
            yield _message("warning", {"text": event.text})
        elif isinstance(event, Failure):
            yield _message("problem", problem_of(event.error))
        else:
            for line in warning_lines(event):
                if line not in known:
                    yield _message("warning", {"text": line})
            noun = TASKS[event.task].noun  # type: ignore[index]  # written from a Task
            yield _message(noun, await document(event))


def _message(event: str, data: object) -> ServerSentEventMessage:
    return ServerSentEventMessage(event=event, data=msgspec.json.encode(data).decode())
