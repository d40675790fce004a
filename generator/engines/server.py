"""Requests to a model server: bounded in number, time and retries, and cancellable.

server = ModelServer(address, key=os.environ.get(KEY, ""))
server.run(server.models())                         # what it serves
future = server.submit(server.write(body, emit=print))
future.cancel()                                     # ends the request, which ends the computation

Everything that goes wrong becomes one sentence (`generator.engines.failures`).
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar, cast

import openai
from openai.types import Model
from openai.types.chat import ChatCompletion

from generator.engines.address import ModelAddress
from generator.engines.circuit import Circuit, RetryBudget
from generator.engines.failures import FailedError, Failures, RequestRefusedError

R = TypeVar("R")

PAUSES = (0.5, 2.0)
"""Seconds before each retry, where the server names none."""
_LONGEST_PAUSE = 20.0
_SENT_HEADERS = frozenset(
    "accept accept-encoding connection content-length content-type host user-agent".split()
)
"""No other header leaves this machine, the key apart: not the platform, not an organisation."""
_TOKEN_CHARACTERS = 32
"""A server that sends more characters a token than this does not keep to the length asked for."""


class ModelServer:
    """One server. Its requests run in a thread of their own; safe to use from several threads."""

    def __init__(self, address: ModelAddress, *, key: str = "") -> None:
        self.address = address
        self.circuit = Circuit(address.base_url)
        self._failures = Failures(address.base_url)
        self._budget = RetryBudget()
        self._slots = asyncio.Semaphore(address.settings.concurrency)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        headers = _SENT_HEADERS | ({"authorization"} if key else set())
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=address.base_url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=openai.Timeout(address.settings.silent_seconds, pool=None),
                follow_redirects=False,  # an image goes where a person said, and nowhere else
                trust_env=not address.is_local,  # no proxy between this machine and itself
                event_hooks={"request": [_keep(headers)]},
            ),
        )

    def submit(self, work: Coroutine[Any, Any, R]) -> Future[R]:
        """Start a request."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Wait for a request; interrupting the wait ends it."""
        future = self.submit(work)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """End all requests and the thread."""
        if self._loop.is_closed():
            return
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.close()

    async def models(self) -> list[Model]:
        """The models that the server lists, which may be fewer than it has.

        Raises ModelUnavailableError.
        """

        async def attempt() -> list[Model]:
            page = await self._client.models.list()
            return [one for one in page.data if isinstance(one.id, str)]

        try:
            return await self._asked(attempt)
        except RequestRefusedError:
            return []

    async def complete(self, body: Mapping[str, Any]) -> ChatCompletion:
        """One whole answer.

        Raises ModelUnavailableError, or RequestRefusedError where the server does not know a
        parameter, and PromptTooLongError.
        """

        async def attempt() -> ChatCompletion:
            create = cast(Any, self._client.chat.completions.create)
            answer = await create(**body)
            if not isinstance(answer, ChatCompletion) or not answer.choices:
                raise FailedError(error=self._failures.nonsense("no answer"), again=True)
            return answer

        return await self._asked(attempt)

    async def write(
        self, body: Mapping[str, Any], emit: Callable[[str], object] | None = None
    ) -> str:
        """The text of one answer, which the server sends piece by piece; ``emit`` gets each.

        An answer that breaks off is asked for again, unless pieces of it were emitted. Raises
        ModelUnavailableError and PromptTooLongError.
        """
        emitted = False

        async def attempt() -> str:
            nonlocal emitted
            pieces: list[str] = []
            left = _TOKEN_CHARACTERS * int(body["max_tokens"])
            thoughts = _Thoughts()
            create = cast(Any, self._client.chat.completions.create)
            ended = False
            async with await create(**body, stream=True) as stream:
                async for chunk in stream:
                    for choice in (chunk.choices or ())[:1]:
                        if choice.finish_reason == "content_filter" or (
                            choice.delta and choice.delta.refusal
                        ):
                            raise FailedError(
                                error=self._failures.error("refuses to write about this")
                            )
                        sent = (choice.delta and choice.delta.content) or ""
                        left -= len(sent)
                        if piece := thoughts.without(sent):
                            pieces.append(piece)
                            if emit is not None:
                                emitted = True
                                emit(piece)
                        ended = ended or choice.finish_reason is not None
                    if left < 0:
                        return "".join(pieces)
            if not ended:
                raise FailedError(error=self._failures.error("broke off in its answer"), again=True)
            return "".join(pieces)

        return await self._asked(attempt, may_repeat=lambda: not emitted)

    async def _asked(
        self,
        attempt: Callable[[], Awaitable[R]],
        may_repeat: Callable[[], bool] = lambda: True,
    ) -> R:
        """Run a request with its retries, as soon as fewer than ``concurrency`` others run."""
        async with self._slots:
            self.circuit.check()
            try:
                async with asyncio.timeout(self.address.settings.seconds):
                    result = await self._repeated(attempt, may_repeat)
            except TimeoutError as error:
                self.circuit.failed()
                seconds = self.address.settings.seconds
                raise self._failures.error(
                    f"gave no whole answer in {seconds:g} seconds"
                ) from error
            except FailedError as failure:
                if failure.again:
                    self.circuit.failed()
                raise failure.error from failure.__cause__
        self.circuit.succeeded()
        self._budget.succeeded()
        return result

    async def _repeated(
        self, attempt: Callable[[], Awaitable[R]], may_repeat: Callable[[], bool]
    ) -> R:
        for pause in PAUSES:
            try:
                return await self._named(attempt)
            except FailedError as failure:
                wait = pause if failure.after is None else failure.after
                patient = failure.again and may_repeat() and wait <= _LONGEST_PAUSE
                if not (patient and self._budget.take()):
                    raise
            await asyncio.sleep(wait)
        return await self._named(attempt)

    async def _named(self, attempt: Callable[[], Awaitable[R]]) -> R:
        silent_seconds = self.address.settings.silent_seconds
        return await self._failures.named(attempt, silent_seconds=silent_seconds)


class _Thoughts:
    """Leaves out what a model thinks aloud before its answer, between ``<think>`` marks."""

    _START, _END = "<think>", "</think>"

    def __init__(self) -> None:
        self._held: str | None = ""

    def without(self, piece: str) -> str:
        """The part of the next piece that belongs to the answer."""
        if self._held is None:
            return piece
        self._held += piece
        begun = self._held.lstrip()
        if begun.startswith(self._START):
            _, end, answer = begun.partition(self._END)
            if not end:
                return ""
            begun = answer.lstrip()
        elif self._START.startswith(begun):
            return ""
        self._held = None
        return begun


def _keep(names: frozenset[str]) -> Callable[[Any], Awaitable[None]]:
    async def keep(request: Any) -> None:
        for name in [name for name in request.headers if name.lower() not in names]:
            del request.headers[name]
        request.headers["user-agent"] = "grounded-cxr"

    return keep
