"""What training steps spend their time on, by torch.profiler."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

STEPS = 3
ROWS = 30


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Milliseconds a step."""

    wall: float
    busy: float
    """In which the GPU ran kernels (on a CPU, operators)."""
    rows: list[tuple[str, float, float]]
    """Name, milliseconds and calls a step, the longest first."""

    def text(self, setup: str) -> str:
        lines = [f"{setup}: {self.wall:.1f} ms a step, kernels for {self.busy:.1f} ms", ""]
        lines += [f"{ms:9.2f} ms {calls:8.0f} x  {name[:90]}" for name, ms, calls in self.rows]
        return "\n".join(lines) + "\n"


def profile_steps(step: Callable[[], None], place: torch.device) -> Profile:
    """Run a step a few times under the profiler, after one without it."""
    gpu = place.type == "cuda"
    step()
    if gpu:
        torch.cuda.synchronize()
    started = time.monotonic()
    for _ in range(STEPS):
        step()
    if gpu:
        torch.cuda.synchronize()
    wall = (time.monotonic() - started) / STEPS * 1e3
    activities = [torch.profiler.ProfilerActivity.CPU]
    if gpu:
        activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(STEPS):
            step()
        if gpu:
            torch.cuda.synchronize()
    taken = [(event.key, own_ms(event, gpu) / STEPS, event.count / STEPS) for event in
             profiler.key_averages()]  # fmt: skip
    taken = sorted((row for row in taken if row[1] > 0), key=lambda row: -row[1])
    return Profile(wall=wall, busy=sum(row[1] for row in taken), rows=taken[:ROWS])


def own_ms(event: Any, gpu: bool) -> float:
    """Of a kernel, or of an operator without those that it calls."""
    micros = event.self_device_time_total if gpu else event.self_cpu_time_total
    return float(micros) / 1e3
