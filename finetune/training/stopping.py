"""When a run stops before its end: its time is up, or somebody asked it to stop.

    with Stopping(devices, limit=600, signals=True) as stopping:
        stopping.look(steps=1)              # after every step, in every process
        stopping.seconds, stopping.reason   # the same in all of them

Processes have clocks of their own, and a signal may reach only some of them. So the first one's
clock counts, a signal to any of them counts for all, and they exchange both after each step:
otherwise one would validate while another still adds up gradients.
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from db.errors import UserError
from finetune.training.devices import Devices

_ONE_REQUEST = 2.0
"""Seconds in which signals count as one: a launcher passes on the Ctrl-C that we get as well."""


_FILES = 5.0
"""Seconds kept free for writing adapter, curves and checkpoint of a run whose time is up."""


class StopReason(IntEnum):
    """Why a run stops after this step; of several reasons the highest counts."""

    NONE = 0
    TIME = 1
    """The time is up, but for an evaluation."""
    TIME_IS_SHORT = 2
    """The time is up, and an evaluation would exceed it."""
    SIGNAL = 3
    FAILED = 4
    """The first process could not write its files."""


class Stopping:
    """The time of a run and the requests to stop it, agreed on by all processes."""

    def __init__(self, devices: Devices, *, limit: float | None, signals: bool) -> None:
        """``limit``: seconds from now; ``signals``: SIGTERM and Ctrl-C stop it after a step."""
        self.limit = limit
        self.seconds = 0.0
        """Since the run began, by the first process's clock."""
        self.reason = StopReason.NONE
        self.failure: UserError | None = None
        """Set in the first process, to be raised by all at the next `look`."""
        self._devices = devices
        self.evaluation_steps = 0.0
        """Steps that take as long as the first evaluation, at most."""
        self._evaluation: float | None = None
        self._evaluating = 0.0
        self._began = time.monotonic()
        self._signal: int | None = None
        self._asked = 0.0
        self._before: dict[int, Any] = {}
        self._handles = signals and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        if self._handles:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def start(self) -> None:
        """Count the seconds of the run from now; the limit keeps what went before."""
        if self.limit is not None:
            self.limit -= self.passed()
        self._began, self._evaluating = time.monotonic(), 0.0

    def look(self, steps: int = 0, *, evaluates: bool = False) -> None:
        """Exchange time and reasons after some steps, the last of which may need an evaluation.

        Raises UserError in all processes where the first one has a failure.
        """
        reason = self._time_is_up(steps, evaluates) if self._devices.first else StopReason.NONE
        if self._signal is not None:
            reason = StopReason.SIGNAL
        if self.failure is not None:
            reason = StopReason.FAILED
        passed = self.passed() if self._devices.first else 0.0
        self.seconds, agreed, number = self._devices.most(passed, reason, self._signal or 0)
        self.reason, self._signal = StopReason(int(agreed)), int(number) or None
        if self.reason == StopReason.FAILED:
            raise self.failure or UserError("the first process cannot write its files: see there")

    def _time_is_up(self, steps: int, evaluates: bool) -> StopReason:
        """Whether one more step, and what is to follow it, would exceed the limit."""
        if self.limit is None or not steps:
            return StopReason.NONE
        step = (self.passed() - self._evaluating) / steps
        evaluation = self._evaluation
        if evaluation is None:
            evaluation = self.evaluation_steps * step
        left = self.limit - self.passed() - _FILES
        reserve = evaluation if evaluation <= self.limit / 2 else 0.0  # or else train instead
        if left > step + reserve + (evaluation if evaluates else 0.0):
            return StopReason.NONE
        return StopReason.TIME if left > evaluation else StopReason.TIME_IS_SHORT

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Measure an evaluation, so that the last one can be kept time for."""
        started = time.monotonic()
        yield
        self._evaluation = time.monotonic() - started
        self._evaluating += self._evaluation

    def passed(self) -> float:
        """Seconds by this process's own clock."""
        return time.monotonic() - self._began

    @property
    def signal_name(self) -> str:
        return signal.Signals(self._signal or signal.SIGTERM).name

    def end_process(self) -> NoReturn:
        """End as the signal would have: KeyboardInterrupt, or the exit code of a shell."""
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + (self._signal or signal.SIGTERM))

    def _received(self, number: int, frame: FrameType | None) -> None:
        """Note a first request; end at once at a second Ctrl-C."""
        now = time.monotonic()
        if self._signal is None:
            self._signal, self._asked = number, now
        elif number == signal.SIGINT and now - self._asked > _ONE_REQUEST:
            raise KeyboardInterrupt
