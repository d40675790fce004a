"""Bound the open connections below the limit on descriptors, and say so once a minute.

An idle connection costs its client nothing, and without descriptors a server can neither accept
nor open a file. Where all places are taken, the connection that has been idle longest makes room
for a new one; where all are at work, the new one gets a 503.
"""

import logging
import time
from collections.abc import Callable, Collection
from typing import Protocol

from api.settings import Settings

logger = logging.getLogger(__name__)

_OWN_DESCRIPTORS = 64
"""Of the databases, the index, the log, the decoding processes and the event loop."""
_WANTED_DESCRIPTORS = 4096
_FEWEST = 16
_ENOUGH_WARNINGS_SECONDS = 60.0


class Connection(Protocol):
    """A connection of the server."""

    idle_since: float | None
    """None while a request is answered."""

    @property
    def is_closing(self) -> bool: ...

    def close(self) -> None: ...


class ConnectionLimit:
    """At most so many connections at once."""

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._closed = self._refused = 0
        self._logged: float | None = None

    def admit(self, connections: Collection[Connection], new: Connection) -> bool:
        """Make room for a new connection, if need be. Returns False if there is none."""
        if len(connections) <= self.most:
            return True
        others = [one for one in connections if one is not new and not one.is_closing]
        if len(others) < self.most:
            return True
        idle = [one for one in others if one.idle_since is not None]
        if idle:
            min(idle, key=lambda one: one.idle_since or 0.0).close()
            self._closed += 1
        else:
            self._refused += 1
        self._log()
        return bool(idle)

    def _log(self) -> None:
        now = self._clock()
        if self._logged is not None and now - self._logged < _ENOUGH_WARNINGS_SECONDS:
            return
        logger.warning(
            "%d connections are open, as many as may be: %d idle ones were closed and %d new ones "
            "refused since the last such line",
            self.most,
            self._closed,
            self._refused,
        )
        self._logged, self._closed, self._refused = now, 0, 0


class OnceAMinute(logging.Filter):
    """Lets one of asyncio's lines about missing descriptors through each minute.

    It writes one, with a traceback, for every place in the backlog.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: float | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if "out of system resource" not in record.getMessage():
            return True
        now = self._clock()
        if self._last is not None and now - self._last < _ENOUGH_WARNINGS_SECONDS:
            return False
        self._last = now
        return True


def connection_limits(settings: Settings) -> tuple[int, int]:
    """Return how many connections may be open, and how many may wait to be accepted.

    Both together leave room for the files of all active requests. Raises the soft limit on
    descriptors first, if it is low and may be raised.
    """
    descriptors = _descriptors()
    backlog = max(_FEWEST, min(1024, descriptors // 4))
    most = descriptors - backlog - _OWN_DESCRIPTORS - settings.capacity
    return max(_FEWEST, min(settings.max_connections, most)), backlog


def _descriptors() -> int:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _WANTED_DESCRIPTORS and soft != hard:
        limit = _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
        soft = min(_WANTED_DESCRIPTORS, limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _WANTED_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
