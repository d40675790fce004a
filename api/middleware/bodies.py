"""Bound the bodies of requests that are on their way: their bytes, of all together, and their time.

    body = body_of(request)
    async for chunk in request.stream(): ...      # counted, and in time
    await body.move_to_disk(len(chunk))           # before the chunk is written to a spool

A client may send a permitted body at the same time as many others do. Every byte that arrives
therefore takes its share of a budget for memory, whatever route reads it, until the request ends or
the byte moves to the disk, which has a budget of its own. A body without room waits: nothing more
is read from its connection. After ``wait_seconds`` it gets a 503.
"""

from dataclasses import dataclass
from typing import Any, cast

import anyio
from litestar import Request
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send

from api.pipeline.byte_budget import ByteBudget, ByteShare
from api.pipeline.scheduler import BusyError

_RETRY_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class BodyLimits:
    """What bodies may take."""

    memory: ByteBudget
    disk: ByteBudget
    seconds: float
    """In which the client may send up to ``bytes_in_time``; and again for as many more."""
    bytes_in_time: int
    wait_seconds: float
    """For which a body may wait for room."""


class RequestBody:
    """The body of one request, as it arrives."""

    def __init__(
        self, receive: Receive, limits: BodyLimits, *, memory: ByteShare, disk: ByteShare
    ) -> None:
        self._receive = receive
        self._limits = limits
        self._memory = memory
        self._disk = disk
        self._received = 0
        self._seconds = self._waited = 0.0
        self._ended = False

    async def receive(self) -> HTTPReceiveMessage:
        """Return the next message. Raises BusyError without room, and a 408 for a slow client."""
        message = await self._next()
        if message["type"] == "http.request":
            await self._take(self._memory, len(message["body"]))
        return message

    async def move_to_disk(self, amount: int) -> None:
        """Count so many bytes as on disk, no longer in memory. Raises BusyError without room."""
        await self._take(self._disk, amount)
        self._memory.give(amount)

    async def discard(self) -> None:
        """Read the rest and keep nothing."""
        while not self._ended:
            await self._next()

    async def _next(self) -> HTTPReceiveMessage:
        if self._ended:  # what follows says that the client left
            return cast("HTTPReceiveMessage", await self._receive())
        limits, begun = self._limits, anyio.current_time()
        allowed = limits.seconds * (1 + self._received // limits.bytes_in_time)
        try:
            with anyio.fail_after(allowed - self._seconds):
                message = cast("HTTPReceiveMessage", await self._receive())
        except TimeoutError as error:
            raise HTTPException(
                status_code=408,
                detail="the request arrived too slowly: send it again, or fewer images",
            ) from error
        self._seconds += anyio.current_time() - begun
        if message["type"] == "http.request":
            self._received += len(message["body"])
            self._ended = not message.get("more_body", False)
        else:
            self._ended = True
        return message

    async def _take(self, share: ByteShare, amount: int) -> None:
        begun = anyio.current_time()
        with anyio.move_on_after(self._limits.wait_seconds - self._waited) as waiting:
            await share.take(amount)
        self._waited += anyio.current_time() - begun
        if waiting.cancelled_caught:
            raise BusyError(_RETRY_SECONDS)


class Bodies(ASGIMiddleware):
    """Give every request its shares of the budgets, and take them back whatever happens to it."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        caller, limits = scope.get("user"), self._limits
        owner = "" if caller is None else caller.name
        with limits.memory.share(owner) as memory, limits.disk.share(owner) as disk:
            body = RequestBody(receive, limits, memory=memory, disk=disk)
            scope["state"]["body"] = body
            await next_app(scope, body.receive, send)


def body_of(request: Request[Any, Any, Any]) -> RequestBody:
    """Return the body of a request."""
    body: RequestBody = request.scope["state"]["body"]
    return body
