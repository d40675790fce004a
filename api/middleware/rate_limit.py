"""Limit the requests per minute of each key, and of each address that sends none.

Litestar(middleware=[rate_limit(600)], stores={STORE: Counters()})

An IPv6 network gives each client a /64 at least, so addresses of one /64 count together.
"""

from datetime import timedelta
from ipaddress import IPv6Address, ip_network
from itertools import islice
from typing import Any

from litestar import Request
from litestar.middleware.base import DefineMiddleware
from litestar.middleware.rate_limit import RateLimitConfig
from litestar.stores.memory import MemoryStore

from api.middleware.access import Caller
from api.middleware.proxies import read_address
from db.app.api_keys import LOCAL

STORE = "rate_limit"
MOST_COUNTERS = 20_000
"""Keys and addresses that are counted at the same time; further ones take the oldest's place."""
_CLIENT_BITS = 64


def rate_limit(requests_per_minute: int) -> DefineMiddleware:
    """Count every request but those of routes without a scope."""
    return RateLimitConfig(
        rate_limit=("minute", requests_per_minute),
        identifier_for_request=_identity,
        check_throttle_handler=_is_counted,
        store=STORE,
    ).middleware


class Counters(MemoryStore):
    """Counters in memory, which are dropped when they have expired, and the oldest above a limit.

    All have to expire after the same time.
    """

    def __init__(self, most: int = MOST_COUNTERS) -> None:
        super().__init__()
        self._most = most

    @property
    def size(self) -> int:
        return len(self._store)

    async def set(
        self, key: str, value: str | bytes, expires_in: int | timedelta | None = None
    ) -> None:
        await self.delete(key)  # to the end: those that expire first come first
        await super().set(key, value, expires_in)
        async with self._lock:
            for first, counter in list(islice(self._store.items(), 2)):
                if counter.expired or self.size > self._most:
                    del self._store[first]


def _identity(request: Request[Any, Any, Any]) -> str:
    caller: Caller | None = request.scope.get("user")
    if caller is not None and caller.name != LOCAL:
        return f"key {caller.name}"
    address = read_address(request.client.host) if request.client else None
    if isinstance(address, IPv6Address):
        return f"network {ip_network((address, _CLIENT_BITS), strict=False)}"
    return f"address {address or 'unknown'}"


def _is_counted(request: Request[Any, Any, Any]) -> bool:
    return bool(request.scope["route_handler"].opt.get("scope", "read") != "open")
