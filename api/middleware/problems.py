"""Answer every error with a problem document (RFC 9457) whose ``detail`` is one clear sentence.

``UserError`` keeps its own text; a request that does not fit the schema learns which field. A
database that is locked, read-only, gone or out of space, and a full disk, are a 503: the same
request may succeed later. An unexpected error is logged with its traceback, and the client learns
nothing about internals.
"""

import errno
import logging
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Self

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.plugins.problem_details import (
    ProblemDetailsConfig,
    ProblemDetailsException,
    ProblemDetailsPlugin,
)

from api.pacs.connection import PacsError
from db.engines.engine import DatabaseFailure, why_unusable
from db.errors import (
    ForbiddenError,
    MismatchError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
    UserError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
DEFECT = "the server failed on this request; the cause is in its log"
_RETRY_SECONDS = 5
_EXHAUSTED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE})
"""System errors that pass: no space, no right to write any more, no file handle left."""
GUARDED = (401, 403, 421, 429, 500, 503)
"""The problems that every route behind an API key may answer with."""


class Problem(msgspec.Struct, kw_only=True):
    """A problem document."""

    title: str
    status: int
    detail: str
    """One sentence: what is wrong and what to do about it."""
    type: str = "about:blank"

    @classmethod
    def of(cls, details: ProblemDetailsException) -> Self:
        return cls(title=details.title or "", status=details.status_code, detail=details.detail)


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Describe the problem documents of a route for its OpenAPI entry."""
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=HTTPStatus(status).phrase,
            generate_examples=False,
            media_type=MEDIA_TYPE,
        )
        for status in statuses
    }


def problem_details() -> ProblemDetailsPlugin:
    return ProblemDetailsPlugin(
        ProblemDetailsConfig(exception_to_problem_detail_map=dict(_DETAILS))
    )


def details_of(error: Exception) -> ProblemDetailsException:
    """Describe any error as a problem, with its headers; log it if it is a defect."""
    for kind, describe in _DETAILS.items():
        if isinstance(error, kind):
            return describe(error)
    return _defect(error)


def status_of(error: Exception) -> int:
    """Return the status that an error is answered with."""
    if isinstance(error, HTTPException):
        return error.status_code
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status
    failing = isinstance(error, DatabaseFailure) and why_unusable(error) is not None
    exhausted = isinstance(error, OSError) and error.errno in _EXHAUSTED
    return 503 if failing or exhausted else 500


def problem_of(error: Exception) -> Problem:
    """Return the problem document of an error, to embed it in another answer."""
    return Problem.of(details_of(error))


def answer_defect(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer an unexpected error with a 500 and log its traceback."""
    logger.error("%s failed", request.method, exc_info=error)
    return _problem(500, DEFECT).to_response(request)


def _problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> ProblemDetailsException:
    return ProblemDetailsException(
        status_code=status,
        type_="about:blank",
        title=HTTPStatus(status).phrase,
        detail=detail,
        headers=dict(headers or {}),
    )


def _of_user_error(error: UserError) -> ProblemDetailsException:
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, UnavailableError) else {}
    return _problem(status_of(error), str(error), headers)


def _of_database(error: DatabaseFailure) -> ProblemDetailsException:
    reason = why_unusable(error)
    return _defect(error) if reason is None else _unusable("database", reason)


def _of_system(error: OSError) -> ProblemDetailsException:
    if error.errno not in _EXHAUSTED:
        return _defect(error)
    return _unusable("disk", os.strerror(error.errno).lower())


def _unusable(what: str, reason: str) -> ProblemDetailsException:
    logger.error("the %s cannot be used: %s", what, reason)
    detail = f"the server cannot use its {what} at present ({reason}): try again later"
    return _problem(503, detail, {"Retry-After": str(_RETRY_SECONDS)})


def _defect(error: Exception) -> ProblemDetailsException:
    logger.error("a request failed", exc_info=error)
    return _problem(500, DEFECT)


def _of_validation(error: ValidationException) -> ProblemDetailsException:
    entries = error.extra if isinstance(error.extra, list) else []
    found = [_sentence(entry) for entry in entries if isinstance(entry, dict)]
    return _problem(error.status_code, "; ".join(found) or error.detail)


def _sentence(entry: dict[str, Any]) -> str:
    key, message = str(entry.get("key", "")), str(entry.get("message", ""))
    for field in ("images", "image"):
        if key.split("[")[0] == field or f"`{field}`" in message:
            return f"no image was sent: choose an image file (multipart form field '{field}')"
    return f"{key}: {message}" if key else message


def _of_recursion(error: RecursionError) -> ProblemDetailsException:
    """A body that is nested too deeply for the decoder is the client's; any other, a defect."""
    if "deserializing" in str(error):  # msgspec's word; Litestar passes its error on
        return _problem(400, "the JSON is nested too deeply: send the fields that /schema names")
    return _defect(error)


def _of_http(error: HTTPException) -> ProblemDetailsException:
    detail = error.detail
    if error.status_code == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = "there is nothing at this address: see /schema for all addresses"
    elif error.status_code == 429:
        wait = (error.headers or {}).get("RateLimit-Reset", "60")
        detail = f"too many requests: try again in {wait} seconds"
        return _problem(429, detail, {**(error.headers or {}), "Retry-After": wait})
    elif error.status_code == 405:
        detail = "this address does not support that method: see /schema"
    elif detail == "Invalid multipart/form-data":
        detail = "the multipart form is damaged or cut short: send the request again"
    elif detail == "Request Entity Too Large" and error.status_code == 400:
        detail = (
            "the form has too many fields or too long a file name: send the images of one study"
        )
    elif error.status_code == 413:
        detail = "the request is too large for this server: send fewer or smaller images"
    return _problem(error.status_code, detail, error.headers)


_STATUS: Mapping[type[UserError], int] = {
    UnavailableError: 503,
    NotFoundError: 404,
    TooLargeError: 413,
    MismatchError: 409,
    ForbiddenError: 403,
    PacsError: 502,
    UserError: 422,
}
"""The special before the general."""
_DETAILS: Mapping[type[Exception], Callable[[Any], ProblemDetailsException]] = {
    UserError: _of_user_error,
    DatabaseFailure: _of_database,
    OSError: _of_system,
    ValidationException: _of_validation,
    HTTPException: _of_http,
    RecursionError: _of_recursion,
}
"""All that is not a defect, the special before the general."""
DESCRIBED = (*_DETAILS, Exception)
"""The types that a controller with error documents of its own must handle itself: a handler of the
application for a type comes before one of the controller for its base."""
