"""What a model server may do wrong, each in one sentence.

failures = Failures("http://127.0.0.1:8000/v1")
answer = await failures.named(ask, silent_seconds=60)       # raises FailedError, and no other
raise failures.error("broke off in its answer")

Nothing that a server sends in an error is shown or logged: it may repeat a prompt.
"""

import json
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import openai

from generator.engines.address import KEY
from generator.vision_language import ModelUnavailableError, PromptTooLongError

R = TypeVar("R")

_BUSY = (408, 429, 500, 502, 503, 504)
_TOO_LONG = ("context length", "context_length", "maximum context", "too many tokens", "too long")


class RequestRefusedError(ModelUnavailableError):
    """The server knows no such path or model, or does not take a request of this form."""


class FailedError(Exception):
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


class Failures:
    """Those of the server at one address."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def named(self, attempt: Callable[[], Awaitable[R]], *, silent_seconds: float) -> R:
        """The result of an attempt. Raises FailedError for all that goes wrong with a server."""
        try:
            return await attempt()
        except openai.APIStatusError as error:
            raise self._of_status(error) from error
        except openai.APITimeoutError as error:
            raise FailedError(
                error=self.error(f"sent nothing for {silent_seconds:g} seconds"), again=True
            ) from error
        except openai.APIConnectionError as error:
            raise self._of_connection(error) from error
        except openai.APIError as error:  # an error amid a stream, or an answer of another form
            raise FailedError(
                error=self.error("sent an error in place of its answer"), again=True
            ) from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise FailedError(error=self.nonsense("no valid answer"), again=True) from error

    def error(self, what: str) -> ModelUnavailableError:
        return ModelUnavailableError(f"the model server {self._url} {what}", retry_after=30)

    def nonsense(self, what: str) -> ModelUnavailableError:
        return self.error(
            f"sent {what}: check that this is the address of an OpenAI-compatible API"
        )

    def _of_status(self, error: openai.APIStatusError) -> FailedError:
        status = error.status_code
        if status in _BUSY:
            return FailedError(
                error=self.error(f"is busy or broken (status {status})"),
                again=True,
                after=_seconds(error.response.headers.get("retry-after")),
            )
        if status in (401, 403):
            return FailedError(
                error=self.error(f"refuses access (status {status}): set {KEY} to its API key")
            )
        if 300 <= status < 400:
            return FailedError(
                error=self.error(
                    f"redirects elsewhere (status {status}), which is not followed: give its final "
                    "address"
                )
            )
        said = json.dumps(error.body, default=str).lower()
        if status in (400, 413, 422) and any(words in said for words in _TOO_LONG):
            return FailedError(
                error=PromptTooLongError(
                    f"the prompt and its answer are longer than the model of {self._url} reads: "
                    "serve it with a longer context"
                )
            )
        if status in (400, 413, 422):
            return FailedError(
                error=RequestRefusedError(
                    f"the model server {self._url} does not take the request (status {status}): "
                    "see its log for the cause",
                    retry_after=60,
                )
            )
        return FailedError(
            error=RequestRefusedError(
                f"the model server {self._url} answered with status {status}: check the address, "
                "which often ends in /v1, and the name of the model",
                retry_after=60,
            )
        )

    def _of_connection(self, error: openai.APIConnectionError) -> FailedError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return FailedError(
                    error=self.error(
                        "has a certificate that is not trusted: name its authority's certificate "
                        "in SSL_CERT_FILE"
                    )
                )
            cause = cause.__cause__ or cause.__context__
        return FailedError(
            error=self.error("cannot be reached, or closed the connection: check that it runs"),
            again=True,
        )


def _seconds(text: str | None) -> float | None:
    """Of a ``Retry-After`` header; None for a date or none."""
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
