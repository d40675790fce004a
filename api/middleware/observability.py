"""Record every request: an id, a log line, metrics and a span.

Raw paths, queries, header values, file names and bodies are never recorded: these may name a
patient. A route is recorded by its template, a caller by the name of the key.
"""

import logging
import re
import sqlite3
import sys
import time
import traceback
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry import propagate, trace
from prometheus_client import Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

from api.settings import Settings
from db.errors import UserError

logger = logging.getLogger("api.middleware.access")
tracer = trace.get_tracer("grounded-cxr")

REQUESTS = Counter("cxr_requests", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("cxr_request_seconds", "Time to the end of the answer.", ["route"])
STAGE_SECONDS = Histogram("cxr_stage_seconds", "Time of one stage for one batch.", ["stage"])
BATCH_SIZE = Histogram("cxr_batch_size", "Studies in a batch.", buckets=(1, 2, 4, 8, 16, 32))
WAITING = Gauge("cxr_waiting", "Studies admitted and not yet begun.")


class Labelled(Collector):
    """The metrics of a registry, with one more label on each."""

    def __init__(self, registry: Collector, **labels: str) -> None:
        self._registry = registry
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            labelled = [
                one._replace(labels={**self._labels, **one.labels}) for one in metric.samples
            ]
            shown = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            shown.samples = labelled
            yield shown


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GIVEN_ID = re.compile(r"[0-9a-fA-F-]{8,64}")  # hexadecimal, so that it cannot hold a name

_LONGEST_CHAIN = 10
"""Errors of one traceback: causes may form a circle."""

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def request_id() -> str | None:
    """Return the id of the current request, or None outside of one."""
    return _request_id.get()


async def observed(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request and record it."""
    headers = Headers.from_scope(scope)
    given = headers.get("x-request-id", "")
    identifier = given if _GIVEN_ID.fullmatch(given) else str(uuid.uuid4())
    started, status = time.perf_counter(), 0

    async def send_with_id(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            MutableScopeHeaders.from_message(message)["x-request-id"] = identifier
        await send(message)

    token = _request_id.set(identifier)
    context = propagate.extract(dict(headers.items()))
    try:
        with tracer.start_as_current_span(
            "request", context=context, kind=trace.SpanKind.SERVER, record_exception=False
        ) as span:
            try:
                await app(scope, receive, send_with_id)
            finally:
                _record(scope, status, time.perf_counter() - started, span)
    finally:
        _request_id.reset(token)


def _record(scope: Scope, status: int, seconds: float, span: trace.Span) -> None:
    method = scope.get("method", "")
    method = method if method in _METHODS else "other"
    route = str(scope.get("path_template") or "unknown")
    REQUESTS.labels(method, route, str(status)).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)
    caller = scope.get("user")
    facts = {
        "method": method,
        "route": route,
        "status": status,
        "seconds": round(seconds, 4),
        "caller": None if caller is None else caller.name,
    }
    span.update_name(f"{method} {route}")
    span.set_attributes(
        {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "request.id": str(_request_id.get()),
        }
    )
    logger.info("request", extra={"facts": facts})


_WITHOUT_VALUES = (UserError, sqlite3.Error)
"""Errors whose messages quote no values: those of this program, and what SQLite says."""


class TracebackFormatter(logging.Formatter):
    """Write tracebacks without the messages of libraries' errors, which quote headers of images."""

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The frames and type of an error and of its causes, the first one first."""
        parts: list[str] = []
        error: BaseException | None = ei[1]
        while error is not None and len(parts) < _LONGEST_CHAIN:
            frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
            said = f": {error}" if isinstance(error, _WITHOUT_VALUES) else ""
            parts.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}{said}")
            if isinstance(error, BaseExceptionGroup):
                parts += [self.formatException((None, one, None)) for one in error.exceptions]
            hidden = None if error.__suppress_context__ else error.__context__
            error = error.__cause__ or hidden
        return "\n".join(reversed(parts))


class JsonFormatter(TracebackFormatter):
    """Write one JSON object per line: time, level, logger, message, request id, request data."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def log_to_stderr(settings: Settings, *, as_json: bool) -> None:
    """Log one line per event; as JSON if so configured, or if API keys are required."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter()
        if as_json or settings.require_keys
        else TracebackFormatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for library in (
        "alembic",
        "fontTools",
        "fpdf",
        "httpx",
        "httpx2",
        "mcp",
        "sqlalchemy.pool",
    ):  # verbose, and they quote texts
        logging.getLogger(library).setLevel(logging.ERROR)
    if not (as_json or settings.require_keys):
        logging.getLogger("api.middleware.access").setLevel(logging.WARNING)
