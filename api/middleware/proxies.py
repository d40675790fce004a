"""Requests that a proxy passes on: whether it may, who sent them, and below which prefix.

A service without keys trusts everyone who reaches it, because on a loopback address that is this
machine. A proxy in front would open it to all whom the proxy serves, so a request with a forwarding
header is refused unless it comes from a proxy that was named.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.exceptions import PermissionDeniedException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_FORWARDING = frozenset(
    {"cf-connecting-ip", "forwarded", "true-client-ip", "via", "x-client-ip", "x-real-ip"}
)
_FORWARDING_PREFIX = "x-forwarded-"


class Proxies(ASGIMiddleware):
    """Put the client's address in the place of that of a trusted proxy; refuse other proxies."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, trusted: Sequence[str], *, refuse_others: bool) -> None:
        """``trusted``: addresses or networks."""
        self._trusted = [ip_network(one, strict=False) for one in trusted]
        self._refuse_others = refuse_others

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        client = scope.get("client")
        headers = Headers.from_scope(scope)
        peer = None if client is None else read_address(client[0])
        if self._is_trusted(peer):
            sent_by = self._sender(headers)
            if sent_by is not None:
                scope["client"] = (str(sent_by), 0)
        elif self._refuse_others and _is_forwarded(headers):
            raise PermissionDeniedException(
                "this request came through a proxy, and this server asks for no API key: start it "
                "with --require-keys, or name the proxy with --trusted-proxy if it admits only "
                "those who may use the server"
            )
        await next_app(scope, receive, send)

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)

    def _sender(self, headers: Headers) -> Address | None:
        """Return the last address of ``X-Forwarded-For`` that is not itself a trusted proxy.

        Those before it may be invented. None if it is missing or no address.
        """
        named = [one for line in headers.getall("x-forwarded-for", []) for one in line.split(",")]
        for text in reversed(named):
            address = read_address(text)
            if not self._is_trusted(address):
                return address
        return None


def _is_forwarded(headers: Headers) -> bool:
    return any(name in _FORWARDING or name.startswith(_FORWARDING_PREFIX) for name in headers)


def read_address(text: str) -> Address | None:
    """Read an address, also one with a port as some proxies write it; None for anything else.

    The zone of an IPv6 address, which may be any text, is left out.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def strip_prefix(scope: Scope, prefix: str) -> bool:
    """Remove the prefix from the path of a request; some proxies have removed it already.

    Returns False for the prefix without its closing slash, where the relative addresses of the page
    would lead elsewhere.
    """
    path = scope["path"]
    if not prefix or not f"{path}/".startswith(f"{prefix}/"):
        return True
    scope["path"] = path.removeprefix(prefix) or "/"
    raw = scope.get("raw_path")
    if raw is not None:
        scope["raw_path"] = raw.removeprefix(prefix.encode())
    return path != prefix
