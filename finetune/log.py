"""What a training run writes down: one JSON object a line, and a line for a person to watch.

{"step": 12, "loss": 1.31, "lr": 0.0002, ...} for each step, {"step": 20, "val_loss": 1.2, ...} for
each validation. A run that goes on from a checkpoint takes back the lines after it, so that the
log reads as if it had never stopped.
"""

import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_PAUSE = 2.0
"""Seconds between lines for a person."""


@dataclass
class TrainingLog:
    """The log file of a run, and who watches it."""

    path: Path
    show: Callable[[str], None]
    shown: float = 0.0

    def write(self, line: dict[str, Any]) -> None:
        line = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in line.items()}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def step(self, line: dict[str, Any], *, total: int, seconds_left: float) -> None:
        """Write a step; show it unless another was shown a moment ago."""
        self.write(line)
        now = time.monotonic()
        if now - self.shown < _PAUSE and line["step"] < total:
            return
        self.shown = now
        self.show(
            f"step {line['step']}/{total}  loss {line['loss']:.4f}  lr {line['lr']:.1e}  "
            f"{line['tokens_per_second']:,.0f} tokens/s  {line['memory_gb']:.1f} GB  "
            f"{clock(seconds_left)} left"
        )

    def take_back(self, step: int) -> None:
        """Remove what was logged after a step, and a last line that was cut off."""
        kept = [line for line in read_log(self.path) if line["step"] <= step]
        waiting = self.path.with_name(self.path.name + ".tmp")
        waiting.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        waiting.replace(self.path)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log; none without the file."""
    lines: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
    return lines


def memory_gb(device: torch.device) -> float:
    """The most that was taken so far: of the GPU's memory, or of the machine's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def clock(seconds: float) -> str:
    """Hours, minutes and seconds as a person reads them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
