"""Identify the caller of a request and check what the caller may do.

If keys are required, a request carries ``Authorization: Bearer KEY``. Every route names the scope
it needs as ``opt={"scope": ...}``; a route that names none needs ``read``, so a forgotten option
never opens a route. ``"open"`` needs no key: web pages and health checks.
"""

from dataclasses import dataclass
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.middleware.rate_limit import RateLimitConfig
from litestar.types import ASGIApp, Receive, Scope, Send

from api.middleware.observability import request_id
from db.app.api_keys import LOCAL, SCOPES, ApiKeyStore
from db.app.api_keys import Scope as KeyScope

OPEN = {"scope": "open"}
READ = {"scope": "read"}
GENERATE = {"scope": "generate"}
ADMIN = {"scope": "admin"}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The sender of a request."""

    name: str
    """The name of the API key, or ``local`` if the server requires no key."""
    scopes: frozenset[KeyScope]
    request_id: str | None = None

    def may(self, scope: KeyScope) -> bool:
        return scope in self.scopes or "admin" in self.scopes


class Access(ASGIMiddleware):
    """Identify the caller; ``check_scope`` then decides whether the request is allowed."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, keys: ApiKeyStore, *, required: bool) -> None:
        self._keys = keys
        self._required = required
        # separate threads: all others may be waiting for the database
        self._threads = CapacityLimiter(2)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if self._required:
            scope["user"] = await self._caller(Headers.from_scope(scope))
        else:
            scope["user"] = Caller(name=LOCAL, scopes=frozenset(SCOPES), request_id=request_id())
        await next_app(scope, receive, send)

    async def _caller(self, headers: Headers) -> Caller | None:
        kind, _, key = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        found = await run_sync(self._keys.find, key, limiter=self._threads)
        if found is None:
            return None
        return Caller(name=found.name, scopes=found.scopes, request_id=request_id())


def check_scope(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse a caller without the scope that the route needs; the guard of every route."""
    needed = handler.opt.get("scope", "read")
    if needed == "open":
        return
    caller = connection.scope.get("user")
    if caller is None:
        raise NotAuthorizedException(
            "this needs an API key that is not revoked: send 'Authorization: Bearer KEY'",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if not caller.may(needed):
        raise PermissionDeniedException(f"this API key has no scope '{needed}'")


def the_caller(request: Request[Any, Any, Any]) -> Caller:
    """Provide the dependency ``caller`` to the handlers behind ``check_scope``."""
    caller: Caller = request.scope["user"]
    return caller


def rate_limit(requests_per_minute: int) -> RateLimitConfig:
    """Limit the requests per minute of each key, and of each address that sends no key."""
    return RateLimitConfig(
        rate_limit=("minute", requests_per_minute),
        identifier_for_request=_identity,
        check_throttle_handler=_is_counted,
    )


def _identity(request: Request[Any, Any, Any]) -> str:
    caller: Caller | None = request.scope.get("user")
    if caller is not None:
        return f"key {caller.name}"
    return f"address {request.client.host if request.client else 'unknown'}"


def _is_counted(request: Request[Any, Any, Any]) -> bool:
    return bool(request.scope["route_handler"].opt.get("scope", "read") != "open")
