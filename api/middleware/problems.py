"""Answer every error with a problem document (RFC 9457) whose ``detail`` is one clear sentence.

``UserError`` keeps its own text; a request that does not fit the schema learns which field. An
unexpected error is logged with its traceback, and the client learns nothing about internals.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.plugins.problem_details import (
    ProblemDetailsConfig,
    ProblemDetailsException,
    ProblemDetailsPlugin,
)

from api.pipeline.scheduler import BusyError
from db.errors import ForbiddenError, MismatchError, NotFoundError, TooLargeError, UserError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
DEFECT = "the server failed on this request; the cause is in its log"
GUARDED = (401, 403, 421, 429, 500)
"""The problems that every route behind an API key may answer with."""


class Problem(msgspec.Struct, kw_only=True):
    """A problem document."""

    title: str
    status: int
    detail: str
    """One sentence: what is wrong and what to do about it."""
    type: str = "about:blank"


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
        ProblemDetailsConfig(
            exception_to_problem_detail_map={
                UserError: _of_user_error,
                ValidationException: _of_validation,
                HTTPException: _of_http,
                RecursionError: _of_recursion,
            }
        )
    )


def problem_of(error: Exception) -> Problem:
    """Return the problem document of an error, to embed it in another answer."""
    if isinstance(error, UserError):
        details = _of_user_error(error)
    elif isinstance(error, ValidationException):
        details = _of_validation(error)
    elif isinstance(error, HTTPException):
        details = _of_http(error)
    elif isinstance(error, RecursionError):
        details = _of_recursion(error)
    else:
        logger.error("a request failed", exc_info=error)
        details = _problem(500, DEFECT)
    return Problem(title=details.title or "", status=details.status_code, detail=details.detail)


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
    if isinstance(error, BusyError):
        return _problem(503, str(error), {"Retry-After": str(error.retry_after)})
    status = 422
    if isinstance(error, NotFoundError):
        status = 404
    elif isinstance(error, TooLargeError):
        status = 413
    elif isinstance(error, MismatchError):
        status = 409
    elif isinstance(error, ForbiddenError):
        status = 403
    return _problem(status, str(error))


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
    logger.error("a request failed", exc_info=error)
    return _problem(500, DEFECT)


def _of_http(error: HTTPException) -> ProblemDetailsException:
    detail = error.detail
    if error.status_code == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = "there is nothing at this address: see /schema for all addresses"
    elif error.status_code == 429:
        wait = (error.headers or {}).get("RateLimit-Reset", "60")
        detail = f"this key has sent too many requests: try again in {wait} seconds"
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
