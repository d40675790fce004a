"""The log of a training run: one JSON object per line, and progress lines for people.

{"step": 12, "loss": 1.31, "lr": 0.0002, ...}, with "val_loss" and other scores after a validation.
A run that continues from a checkpoint takes back the lines after it, so that the log reads as if
the run had never stopped.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from db.files import write_text, writing

_PAUSE = 2.0
"""Seconds between lines for a person."""


@dataclass
class TrainingLog:
    """The log file of a run, and a function that shows progress."""

    path: Path
    show: Callable[[str], None]
    shown: float = 0.0

    def write(self, line: dict[str, Any]) -> None:
        line = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in line.items()}
        with writing(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def show_step(
        self, line: dict[str, Any], *, losses: Iterable[str], total: int, seconds_left: float
    ) -> None:
        """Show a step unless another was shown a moment ago."""
        now = time.monotonic()
        if now - self.shown < _PAUSE and seconds_left:
            return
        self.shown = now
        parts = [f"step {line['step']}/{total}"]
        parts += [f"{name} {line[name]:.4f}" for name in losses]
        parts.append(f"lr {line['lr']:.1e}")
        if "tokens_per_second" in line:
            parts.append(f"{line['tokens_per_second']:,.0f} tokens/s")
        parts += [f"{line['memory_gb']:.1f} GB", f"{clock(seconds_left)} left"]
        self.show("  ".join(parts))

    def show_scores(self, scores: dict[str, Any]) -> None:
        """Show numbers in one line, and each text in its own."""
        numbers = [
            f"{name.replace('val_', 'validation ')} {value:.4f}"
            for name, value in scores.items()
            if isinstance(value, float)
        ]
        self.show("  " + ", ".join(numbers))
        for name, value in scores.items():
            if isinstance(value, str):
                self.show(f"  {name}: {value}")

    def add(self, step: int, scores: dict[str, Any]) -> None:
        """Add scores to the line of the last step."""
        line = next((line for line in read_log(self.path) if line.get("step") == step), None)
        self.take_back(step - 1)
        self.write((line or {"step": step}) | scores)

    def take_back(self, step: int) -> None:
        """Remove what was logged after a step, and a last line that was cut off."""
        kept = [line for line in read_log(self.path) if line.get("step", 0) <= step]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))


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
    """Return the peak memory so far, of the GPU or else of the process, in GB.

    0 if the system does not report it.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**30
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def clock(seconds: float) -> str:
    """Format seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
