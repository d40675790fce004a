"""Limit the requests per minute of each key, and of each address that sends none.

    Litestar(middleware=[rate_limit(600)], stores={STORE: Counters()})
    Litestar(middleware=[rate_limit(600, shared=RequestCounts(engine))], stores={STORE: Counters()})

Processes that share a database count there together; while it cannot be used, each for itself.
An IPv6 network gives each client a /64 at least, so addresses of one /64 count together.
"""

import math
from datetime import timedelta
from functools import partial
from ipaddress import IPv6Address, ip_network
from itertools import islice
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from litestar import Request
from litestar.middleware.base import DefineMiddleware
from litestar.middleware.rate_limit import CacheObject, RateLimitConfig, RateLimitMiddleware
from litestar.stores.base import Store
from litestar.stores.memory import MemoryStore
from litestar.types import ASGIApp

from api.background import log_failure
from api.middleware.access import Caller
from api.middleware.proxies import read_address
from db.app.api_keys import LOCAL
from db.app.limits.request_counts import RequestCounts
from db.engines.engine import DatabaseFailure

STORE = "rate_limit"
MOST_COUNTERS = 20_000
"""Keys and addresses that are counted at the same time; further ones take the oldest's place."""
_CLIENT_BITS = 64
_SECONDS = 60
_THREADS = 4


def rate_limit(
    requests_per_minute: int, *, shared: RequestCounts | None = None
) -> DefineMiddleware:
    """Count every request but those of routes without a scope."""
    config = RateLimitConfig(
        rate_limit=("minute", requests_per_minute),
        identifier_for_request=_identity,
        check_throttle_handler=_is_counted,
        store=STORE,
    )
    if shared is None:
        return config.middleware
    return DefineMiddleware(SharedLimit, config=config, counts=shared)


class SharedLimit(RateLimitMiddleware):
    """Counts in the database."""

    def __init__(self, app: ASGIApp, config: RateLimitConfig, counts: RequestCounts) -> None:
        super().__init__(app, config)
        self._counts = counts
        self._lock: Any = CapacityLimiter(_THREADS)  # a count is one step, and others may go on
        self._threads = CapacityLimiter(_THREADS)  # all others may be waiting for the database
        self._failed = False

    async def retrieve_cached_history(self, key: str, store: Store) -> CacheObject:
        """Count the request, and return those before it."""
        count = partial(self._counts.count, key, seconds=_SECONDS)
        try:
            counted = await run_sync(count, limiter=self._threads)
            self._failed = False
        except DatabaseFailure as error:
            if not self._failed:
                log_failure("requests are counted by each process alone", error)
            self._failed = True
            return await super().retrieve_cached_history(key, store)
        before, until = min(counted.requests - 1, self.max_requests), math.ceil(counted.until)
        return CacheObject(history=[until] * before, reset=until)


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
