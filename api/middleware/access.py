"""Identify the caller of a request and check what the caller may do.

If keys are required, a request carries ``Authorization: Bearer KEY``. Every route names the scope
it needs as ``opt={"scope": ...}``; a route that names none needs ``read``, so a forgotten option
never opens a route. ``"open"`` needs no key: web pages and health checks.

Generations and jobs belong to the key that requested them. Without the scope ``read-all``, those of
other keys do not exist for a caller: handlers pass `Caller.owner` to the stores.
"""

from dataclasses import dataclass, replace
from typing import Any, cast

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from api.middleware.audit_queue import UNKNOWN, AuditQueue, Refusal
from api.middleware.observability import request_id
from db.app.api_keys import IMPLIED, LOCAL, SCOPES, ApiKeyStore
from db.app.api_keys import Scope as KeyScope

OPEN = {"scope": "open"}
READ = {"scope": "read"}
GENERATE = {"scope": "generate"}
ADMIN = {"scope": "admin"}
PACS = {"scope": "pacs"}
ANY = {"scope": "any"}
"""For a route that needs a key of any scope, and checks the scope itself."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The sender of a request."""

    name: str
    """The name of the API key, or ``local`` if the server requires no key."""
    scopes: frozenset[KeyScope]
    request_id: str | None = None

    def may(self, scope: KeyScope) -> bool:
        return any(scope == one or scope in IMPLIED.get(one, ()) for one in self.scopes)

    @property
    def owner(self) -> str | None:
        """Whose generations and jobs the caller sees: its own, or None for everyone's."""
        return None if self.may("read-all") else self.name


class Access(ASGIMiddleware):
    """Identify the caller; `ScopeCheck` then decides whether the request is allowed."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, keys: ApiKeyStore, *, required: bool) -> None:
        """The caller becomes the ``user`` of a request, the `Refusal` of a key its ``auth``."""
        self._keys = keys
        self._required = required
        # separate threads: all others may be waiting for the database
        self._threads = CapacityLimiter(2)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if self._required:
            scope["user"] = scope["auth"] = None
            sent = Headers.from_scope(scope).get("authorization", "")
            if sent:
                kind, _, key = sent.partition(" ")
                found = await self._look_up(key if kind.lower() == "bearer" else "")
                scope["auth" if isinstance(found, Refusal) else "user"] = found
        else:
            scope["user"] = Caller(name=LOCAL, scopes=frozenset(SCOPES), request_id=request_id())
        await next_app(scope, receive, send)

    async def _look_up(self, key: str) -> Caller | Refusal:
        found = await run_sync(self._keys.find, key, limiter=self._threads)
        if found is None:
            name, reason = await run_sync(self._keys.why_refused, key, limiter=self._threads)
            return Refusal(caller=name or UNKNOWN, reason=reason)
        return Caller(name=found.name, scopes=found.scopes, request_id=request_id())


class ScopeCheck:
    """Refuse a caller without the scope that the route needs; the guard of every route."""

    def __init__(self, audit: AuditQueue) -> None:
        self._audit = audit

    def check(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Raises a 401 or a 403, and enters the key that was refused into the audit log."""
        needed = handler.opt.get("scope", "read")
        if needed == "open":
            return
        caller, refused = connection.scope.get("user"), connection.scope.get("auth")
        if caller is None:
            if refused is not None:
                self._enter(refused, connection)
            raise NotAuthorizedException(
                "this needs an API key that is not revoked: send 'Authorization: Bearer KEY'",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if needed != "any" and not caller.may(needed):
            refused = Refusal(caller=caller.name, reason=f"no scope '{needed}'")
            self._enter(refused, connection)
            raise PermissionDeniedException(f"this API key has {refused.reason}")

    def _enter(self, refused: Refusal, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        scope = cast("HTTPScope", connection.scope)
        route = f"{scope['method']} {scope['path_template']}"
        address = connection.client.host if connection.client else None
        self._audit.refuse(replace(refused, route=route, address=address))


def the_caller(request: Request[Any, Any, Any]) -> Caller:
    """Provide the dependency ``caller`` to the handlers behind `ScopeCheck`."""
    caller: Caller = request.scope["user"]
    return caller
