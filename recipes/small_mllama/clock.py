"""How far a stage of training has come: by its steps or by its time, whichever is further."""

import math
import time

from torch.optim import Optimizer


class Clock:
    """``seconds`` of 0 are no limit; ``spent`` are the seconds of an interrupted run."""

    def __init__(self, *, steps: int, seconds: float, spent: float = 0.0) -> None:
        self._steps, self._seconds = steps, seconds
        self._began = time.monotonic() - spent

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def progress(self, step: int) -> float:
        """From 0 to 1, where ``step`` steps are done."""
        share = step / self._steps
        if self._seconds:
            share = max(share, self.elapsed() / self._seconds)
        return min(1.0, share)


def schedule(optimizer: Optimizer, progress: float, warmup: float) -> None:
    """Set every group's learning rate from its ``peak``: a linear rise, then half a cosine."""
    if progress < warmup:
        share = max(progress / warmup, 0.01)
    else:
        share = 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share
