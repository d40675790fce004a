"""Growth without a clock: steps are counted, and only a hang is ended by time."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def steps(work: Callable[[], object]) -> int:
    """Lines of Python that run during ``work``; the same on every machine."""
    counted = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal counted
        counted += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return counted


@contextmanager
def ended_after(seconds: float = 60) -> Iterator[None]:
    """Fail what takes so much processor time of its own, as a regular expression that tries every
    way to match does. Other work on the machine does not count."""

    def end(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"still at work after {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
