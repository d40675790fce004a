"""Refuse cross-site requests, and add security headers to every answer.

A server on the loopback address is still reached by every web page the user opens, so a request
must name this server as its host, and one that changes something must come from our own page or
from no page at all.
"""

from urllib.parse import urlsplit

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard(ASGIMiddleware):
    """Refuse requests for other host names and requests from other sites' pages."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, allowed_hosts: tuple[str, ...], cors_origins: tuple[str, ...] = ()) -> None:
        """Pages of ``cors_origins`` are let through."""
        self._allowed = frozenset(host.lower() for host in allowed_hosts)
        self._origins = frozenset(cors_origins)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        headers = Headers.from_scope(scope)
        host = headers.get("host", "")
        if _name(host) not in self._allowed:
            raise HTTPException(
                status_code=421,
                detail="this server does not answer under that host name: call it by the address "
                "that it printed when it started",
            )
        own = _own_page(headers, host) or headers.get("origin") in self._origins
        if scope.get("method") not in _SAFE_METHODS and not own:
            raise PermissionDeniedException("another site's page may not send requests here")
        await next_app(scope, receive, send)


def content_security_policy(public_images: str | None = None) -> str:
    """Return the policy of all answers; images may also come from this origin."""
    images = ("'self'", "blob:", *([] if public_images is None else [public_images]))
    return _POLICY.format(images=" ".join(images))


async def add_headers(message: Message, scope: Scope) -> None:
    """Add the security headers to an answer, errors included, and the prefix of the service to a
    ``Location``; a ``before_send`` hook."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in _HEADERS.items():
            headers[name] = value
        headers["content-security-policy"] = scope["litestar_app"].state.content_security_policy
        headers.setdefault("cache-control", "no-store")
        location = headers.get("location", "")
        if location.startswith("/"):
            headers["location"] = scope["litestar_app"].state.root_path + location


def _name(host: str) -> str:
    """Return the host without its port."""
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    return (host[:end] if end > 0 else host).lower()


def _own_page(headers: Headers, host: str) -> bool:
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host
