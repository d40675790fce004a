"""When a server that fails is asked again.

circuit.check()                             # raises while the server is left alone
circuit.succeeded() or circuit.failed()
if budget.take(): ...                       # one retry
"""

import logging
import math
import threading
import time
from collections.abc import Callable

from generator.vision_language import ModelUnavailableError

logger = logging.getLogger(__name__)


class Circuit:
    """Leaves a server alone that failed several times in a row, but for one request now and then.

    A library for this would hold a lock while a request runs. Safe to use from several threads.
    """

    def __init__(
        self,
        server: str,
        *,
        failures: int = 5,
        seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens after ``failures`` in a row; then one request is let through every ``seconds``."""
        self._server = server
        self._most = failures
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._next = -math.inf
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise ModelUnavailableError while the circuit is open; call this before a request."""
        with self._lock:
            if self._failures < self._most:
                return
            now = self._clock()
            if now < self._next:
                wait = math.ceil(self._next - now)
                raise ModelUnavailableError(
                    f"the model server {self._server} failed {self._failures} times in a row and "
                    f"is asked again in {wait} seconds",
                    retry_after=wait,
                )
            self._next = now + self._seconds

    def succeeded(self) -> None:
        """Close the circuit."""
        with self._lock:
            if self._failures >= self._most:
                logger.warning("the model server %s answers again", self._server)
            self._failures = 0

    def failed(self) -> None:
        """Count a request that failed after its retries."""
        with self._lock:
            self._failures += 1
            self._next = self._clock() + self._seconds
            if self._failures == self._most:
                logger.warning(
                    "the model server %s failed %d times in a row: reports are extractive, and it "
                    "is asked again every %g seconds",
                    self._server,
                    self._failures,
                    self._seconds,
                )


class RetryBudget:
    """Bounds the retries of all requests together, so that they never multiply an overload.

    As gRPC throttles retries (gRFC A6): each retry takes a token, and each success gives a part of
    one back. Safe to use from several threads.
    """

    def __init__(self, *, tokens: float = 10.0, per_success: float = 0.1) -> None:
        self._most = self._tokens = tokens
        self._per_success = per_success
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more retry is allowed."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def succeeded(self) -> None:
        """Count a request that needed no further retry."""
        with self._lock:
            self._tokens = min(self._most, self._tokens + self._per_success)
