"""Limit the active requests of the service, in total and per API key.

with admission.enter("ward"):       # BusyError where there is no place
    ...
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api.pipeline.scheduler import BusyError


class Admission:
    """Limits the active requests, in total and per owner.

    If several owners can call (``shared``), one owner gets at most three quarters of the places, so
    that others still find one.
    """

    def __init__(
        self, *, capacity: int, shared: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = capacity
        self._share = max(1, capacity * 3 // 4) if shared else capacity
        self._clock = clock
        self._inside: dict[str, int] = {}
        self._seconds = 1.0  # of one piece of work, a moving mean

    @property
    def inside(self) -> int:
        return sum(self._inside.values())

    def check(self, owner: str | None = None) -> None:
        """Raises BusyError if ``enter`` would; without an owner, if it would for every owner."""
        own = 0 if owner is None else self._inside.get(owner, 0)
        if self.inside >= self._capacity or own >= self._share:
            raise BusyError(self._retry_after())

    @contextmanager
    def enter(self, owner: str) -> Iterator[None]:
        """Hold a place while the block runs. Raises BusyError if there is none."""
        self.check(owner)
        self._inside[owner] = self._inside.get(owner, 0) + 1
        started = self._clock()
        try:
            yield
        finally:
            self._inside[owner] -= 1
            if self._inside[owner] == 0:
                del self._inside[owner]
            took = (self._clock() - started) / (self.inside + 1)
            self._seconds += 0.1 * (took - self._seconds)

    def _retry_after(self) -> int:
        """Estimate when half of the active requests will be done, in seconds from 1 to 60."""
        return min(60, max(1, math.ceil(self.inside / 2 * self._seconds)))
