"""Requests to a model server: bounded in number, time and retries, and cancellable.

server = ModelServer(address, key=os.environ.get(KEY, ""))
server.run(server.models())                         # what it serves
future = server.submit(server.write(body, emit=print))
future.cancel()                                     # ends the request, which ends the computation

Everything that goes wrong becomes one sentence (`ModelUnavailableError`). Nothing that a server
sends in an error is shown or logged: it may repeat a prompt.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar, cast

import openai
from openai.types import Model
from openai.types.chat import ChatCompletion

from generator.engines.address import KEY, ModelAddress
from generator.engines.circuit import Circuit, RetryBudget
from generator.vision_language import ModelUnavailableError, PromptTooLongError

R = TypeVar("R")

PAUSES = (0.5, 2.0)
"""Seconds before each retry, where the server names none."""
_LONGEST_PAUSE = 20.0
_BUSY = (408, 429, 500, 502, 503, 504)
_SENT_HEADERS = frozenset(
    "accept accept-encoding connection content-length content-type host user-agent".split()
)
"""No other header leaves this machine, the key apart: not the platform, not an organisation."""
_TOO_LONG = ("context length", "context_length", "maximum context", "too many tokens", "too long")
_TOKEN_CHARACTERS = 32
"""A server that sends more characters a token than this does not keep to the length asked for."""


class RequestRefusedError(ModelUnavailableError):
    """The server knows no such path or model, or does not take a request of this form."""


class _FailedError(Exception):
    """One attempt that failed."""

    def __init__(
        self,
        *,
        error: ModelUnavailableError | PromptTooLongError,
        again: bool = False,
        after: float | None = None,
    ) -> None:
        """``again``: another attempt may succeed, ``after`` so many seconds if the server says."""
        super().__init__()
        self.error, self.again, self.after = error, again, after


class ModelServer:
    """One server. Its requests run in a thread of their own; safe to use from several threads."""

    def __init__(self, address: ModelAddress, *, key: str = "") -> None:
        self.address = address
        self.circuit = Circuit(address.base_url)
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
                raise _FailedError(error=self._nonsense("no answer"), again=True)
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
                            raise _FailedError(error=self._error("refuses to write about this"))
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
                raise _FailedError(error=self._error("broke off in its answer"), again=True)
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
                raise self._error(f"gave no whole answer in {seconds:g} seconds") from error
            except _FailedError as failure:
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
                return await self._attempted(attempt)
            except _FailedError as failure:
                wait = pause if failure.after is None else failure.after
                patient = failure.again and may_repeat() and wait <= _LONGEST_PAUSE
                if not (patient and self._budget.take()):
                    raise
            await asyncio.sleep(wait)
        return await self._attempted(attempt)

    async def _attempted(self, attempt: Callable[[], Awaitable[R]]) -> R:
        try:
            return await attempt()
        except openai.APIStatusError as error:
            raise self._of_status(error) from error
        except openai.APITimeoutError as error:
            seconds = self.address.settings.silent_seconds
            raise _FailedError(
                error=self._error(f"sent nothing for {seconds:g} seconds"), again=True
            ) from error
        except openai.APIConnectionError as error:
            raise self._of_connection(error) from error
        except openai.APIError as error:  # an error amid a stream, or an answer of another form
            raise _FailedError(
                error=self._error("sent an error in place of its answer"), again=True
            ) from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise _FailedError(error=self._nonsense("no valid answer"), again=True) from error

    def _of_status(self, error: openai.APIStatusError) -> _FailedError:
        status = error.status_code
        if status in _BUSY:
            return _FailedError(
                error=self._error(f"is busy or broken (status {status})"),
                again=True,
                after=_seconds(error.response.headers.get("retry-after")),
            )
        if status in (401, 403):
            return _FailedError(
                error=self._error(f"refuses access (status {status}): set {KEY} to its API key")
            )
        if 300 <= status < 400:
            return _FailedError(
                error=self._error(
                    f"redirects elsewhere (status {status}), which is not followed: give its final "
                    "address"
                )
            )
        said = json.dumps(error.body, default=str).lower()
        if status in (400, 413, 422) and any(words in said for words in _TOO_LONG):
            return _FailedError(
                error=PromptTooLongError(
                    f"the prompt and its answer are longer than the model of {self._url} reads: "
                    "serve it with a longer context"
                )
            )
        if status in (400, 413, 422):
            return _FailedError(
                error=RequestRefusedError(
                    f"the model server {self._url} does not take the request (status {status}): "
                    "see its log for the cause",
                    retry_after=60,
                )
            )
        return _FailedError(
            error=RequestRefusedError(
                f"the model server {self._url} answered with status {status}: check the address, "
                "which often ends in /v1, and the name of the model",
                retry_after=60,
            )
        )

    def _of_connection(self, error: openai.APIConnectionError) -> _FailedError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return _FailedError(
                    error=self._error(
                        "has a certificate that is not trusted: name its authority's certificate "
                        "in SSL_CERT_FILE"
                    )
                )
            cause = cause.__cause__ or cause.__context__
        return _FailedError(
            error=self._error("cannot be reached, or closed the connection: check that it runs"),
            again=True,
        )

    @property
    def _url(self) -> str:
        return self.address.base_url

    def _error(self, what: str) -> ModelUnavailableError:
        return ModelUnavailableError(f"the model server {self._url} {what}", retry_after=30)

    def _nonsense(self, what: str) -> ModelUnavailableError:
        return self._error(
            f"sent {what}: check that this is the address of an OpenAI-compatible API"
        )


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


def _seconds(text: str | None) -> float | None:
    """Of a ``Retry-After`` header; None for a date or none."""
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
