"""Cancel the work of a client that disconnects."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
from litestar import Request
from litestar.exceptions import HTTPException

T = TypeVar("T")


async def while_connected(request: Request[Any, Any, Any], work: Callable[[], Awaitable[T]]) -> T:
    """Return the result of the work; cancel it if the client disconnects first.

    Call this only after the body has been read.
    """
    outcome: T | Exception | None = None
    finished = False
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        try:
            outcome = await work()
        except Exception as error:  # raised below: the task group would wrap it
            outcome = error
        finished = True
        tasks.cancel_scope.cancel()
    if not finished:
        raise HTTPException(status_code=408, detail="the client disconnected before the answer")
    if isinstance(outcome, Exception):
        raise outcome
    return outcome  # type: ignore[return-value]  # set where finished
