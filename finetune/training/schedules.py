"""Learning rates over a run: each rises over its ``warmup`` share, then falls."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Position:
    """The place of the next optimizer step in a run."""

    step: int
    """Optimizer steps before it."""
    total: int
    progress: float
    """From 0 to 1: of the steps or of the time, whichever is further."""


Schedule = Callable[[float, Position], float]
"""The learning rate at a position, from the highest one."""


def linear(warmup: float) -> Schedule:
    """Rise linearly over the steps, then fall linearly to 0."""

    def rate(peak: float, at: Position) -> float:
        warm = _warm_steps(warmup, at)
        if at.step < warm:
            return peak * (at.step + 1) / warm
        return peak * (at.total - at.step) / max(1, at.total - warm)

    return rate


def cosine(warmup: float, *, floor: float) -> Schedule:
    """Rise linearly over the steps, then fall along half a cosine to ``floor`` of the peak."""

    def rate(peak: float, at: Position) -> float:
        warm = _warm_steps(warmup, at)
        turn = math.pi * max(0, at.step - warm) / max(1, at.total - warm)
        return peak * min((at.step + 1) / warm, 0.5 * (1 + math.cos(turn)) + floor)

    return rate


def timed_cosine(warmup: float) -> Schedule:
    """The same over the progress of a run that may end by its time; falls to 0."""

    def rate(peak: float, at: Position) -> float:
        if at.progress < warmup:
            return peak * max(at.progress / warmup, 0.01)
        return peak * (0.5 * (1 + math.cos(math.pi * (at.progress - warmup) / (1 - warmup))))

    return rate


def _warm_steps(warmup: float, at: Position) -> int:
    return max(1, round(warmup * at.total))
