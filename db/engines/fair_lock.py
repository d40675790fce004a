"""A lock between threads that is given in the order in which it was asked for."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class FairLock:
    """First come, first served: nobody is overtaken, so nobody waits longer than those before him
    take. Not reentrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._line: deque[threading.Event] = deque()

    @property
    def in_line(self) -> int:
        """How many hold it or wait for it."""
        return len(self._line)

    @contextmanager
    def turn(self, lock_timeout: float) -> Iterator[None]:
        """Hold the lock while the block runs.

        Raises TimeoutError where the turn does not come within ``lock_timeout`` seconds.
        """
        mine = threading.Event()
        with self._guard:
            self._line.append(mine)
            self._line[0].set()
        try:
            if not mine.wait(lock_timeout):
                raise TimeoutError(f"no turn came in {lock_timeout:g} seconds")
            yield
        finally:
            with self._guard:
                self._line.remove(mine)
                if self._line:
                    self._line[0].set()
