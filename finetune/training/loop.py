"""The training loop of adapters, of encoders, and of the small base model's recipe.

    loop = TrainingLoop(learner, optimizer, pace, schedule=linear(0.03), checkpoint=..., log=...)
    end = loop.run(pause_after=600)

A learner brings its model, batches and losses. The loop sets learning rates, adds up and clips
gradients, logs, evaluates, keeps what is best, writes checkpoints, and stops where a loss is NaN. A
run that was killed and resumed ends with the same bytes as one left alone.

transformers.Trainer gives every process batches of its own, so that one config would train
differently on another number of GPUs, and it steps on a NaN loss instead of stopping with the last
good weights. Encoders and the base model end by the clock and keep averages and a memory bank
between steps, so a loop of ours would stay beside it in any case.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from db.errors import MismatchError, UserError
from finetune.training.checkpoint import Checkpoint
from finetune.training.devices import Devices
from finetune.training.learner import Learner, Pace, RunEnd
from finetune.training.log import TrainingLog, memory_gb
from finetune.training.schedules import Position, Schedule

_SKIPPED = 20
"""Consecutive steps that float16 may skip because gradients overflow."""


@dataclass
class _Progress:
    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    seconds: float = 0.0
    """Of training in earlier calls."""
    first: int = 0
    """Step at which this call began."""
    skipped: int = 0


class TrainingLoop:
    """Trains a learner to its end, or resumes it from its checkpoint."""

    def __init__(
        self,
        learner: Learner,
        optimizer: torch.optim.Optimizer,
        pace: Pace,
        *,
        schedule: Schedule,
        log: Path,
        checkpoint: Path | None,
        devices: Devices,
        show: Callable[[str], None],
        about: Mapping[str, Any] | None = None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        """``checkpoint`` None: the run cannot be resumed. ``about`` is compared on resuming."""
        self._learner, self._optimizer, self._pace = learner, optimizer, pace
        self._schedule, self._devices, self._checkpoint = schedule, devices, checkpoint
        self._log = TrainingLog(log, show)
        self._about = dict(about or {})
        self._scaler = scaler or torch.amp.GradScaler(devices.device.type, enabled=False)
        self._peaks = [float(group["lr"]) for group in optimizer.param_groups]
        self._recent: deque[dict[str, Tensor]] = deque(maxlen=pace.mean_over)
        self._norm = torch.zeros(())
        self._at = _Progress()
        self._began = self._saved = 0.0

    def run(self, *, pause_after: float | None = None) -> RunEnd:
        """Train to the end, or for about ``pause_after`` seconds.

        Raises MismatchError for a checkpoint of another run, and UserError where a loss or a
        gradient is NaN or infinite: what was kept and the checkpoint of before stay.
        """
        self._resume()
        at, pace = self._at, self._pace
        self._began = time.monotonic()
        self._saved = at.seconds
        steps = self._learner.steps(at.step)
        position = self._position()
        while position.progress < 1:
            started = time.monotonic()
            self._update(next(steps), position)
            at.step += 1
            before, position = position, self._position()
            paused = pause_after is not None and self._passed() > pause_after
            evaluated = position.progress >= 1 or paused or at.step % pace.evaluate_every == 0
            if evaluated or at.step % pace.log_every == 0:
                self._write_line(before, position, started, evaluated)
            self._save(evaluated, paused)
            if paused:
                break
        return RunEnd(
            step=at.step,
            total=pace.steps,
            finished=position.progress >= 1,
            best_step=at.best_step,
            best_loss=at.best_loss,
        )

    def _passed(self) -> float:
        """Seconds of this call."""
        return time.monotonic() - self._began

    def _seconds(self) -> float:
        """Of training, with those of earlier calls."""
        return self._at.seconds + self._passed()

    def _position(self) -> Position:
        at, pace = self._at, self._pace
        progress = at.step / pace.steps
        if pace.seconds:
            progress = max(progress, self._seconds() / pace.seconds)
        return Position(step=at.step, total=pace.steps, progress=min(1.0, progress))

    def _update(self, batches: Sequence[Any], position: Position) -> None:
        learner = self._learner
        device = self._devices.device
        losses = {name: torch.zeros((), device=device) for name in learner.losses}
        for batch in batches:
            loss, named = learner.loss(batch, position)
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            for name, value in named.items():
                losses[name] = losses[name] + value.detach()
        self._devices.sum_gradients(learner.parameters)
        self._recent.append({name: self._devices.sum(value) for name, value in losses.items()})
        self._scaler.unscale_(self._optimizer)
        self._norm = nn.utils.clip_grad_norm_(learner.parameters, self._pace.max_grad_norm)
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = self._schedule(peak, position)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        learner.stepped()

    def _losses(self) -> dict[str, float]:
        """Mean of the last steps; raises UserError where the run cannot go on."""
        means = {
            name: float(sum((step[name] for step in self._recent), torch.zeros(())))
            / len(self._recent)
            for name in self._learner.losses
        }
        if not all(math.isfinite(mean) for mean in means.values()):
            self._stop("loss is NaN or infinite")
        if bool(torch.isfinite(self._norm)):
            self._at.skipped = 0
        elif not self._scaler.is_enabled() or self._at.skipped >= _SKIPPED:
            self._stop("gradient is NaN or infinite")
        else:
            self._at.skipped += 1
        return means

    def _stop(self, reason: str) -> None:
        raise UserError(
            f"{reason} at step {self._at.step} (learning rate {self._peaks[0]:g}): "
            f"{self._learner.kept(self._at.best_step)}; train again into another directory with a "
            "lower learning rate (lr)"
        )

    def _write_line(
        self, before: Position, position: Position, started: float, evaluated: bool
    ) -> None:
        at, first = self._at, self._devices.first
        losses = self._losses()
        self._recent.clear()
        seconds = time.monotonic() - started
        line: dict[str, Any] = {
            "step": at.step,
            **losses,
            "lr": float(self._optimizer.param_groups[0]["lr"]),
            "grad_norm": float(self._norm),
            "progress": position.progress,
            **self._learner.measures(before, seconds),
            "memory_gb": memory_gb(self._devices.device),
            "seconds": self._seconds(),
        }
        if first:
            share = max(position.progress - at.first / position.total, 1e-9)
            left = (1 - position.progress) * self._passed() / share
            self._log.show_step(line, losses=losses, total=position.total, seconds_left=left)
        scores = self._evaluate() if evaluated else {}
        if first:
            self._log.write(line | scores)
            if scores:
                self._log.show_scores(scores)
                self._learner.logged_scores()

    def _evaluate(self) -> dict[str, Any]:
        at = self._at
        scores = self._learner.evaluate()
        value = scores.get("val_loss")
        if value is not None and not math.isfinite(value):
            self._stop("validation loss is NaN or infinite")
        if value is None or at.best_loss is None or value < at.best_loss:
            at.best_loss, at.best_step = value, at.step
            self._learner.keep(at.step, value)
        return scores

    def _save(self, evaluated: bool, paused: bool) -> None:
        pace, at = self._pace, self._at
        due = paused or (pace.save_every > 0 and (evaluated or at.step % pace.save_every == 0))
        if pace.save_seconds is not None and self._seconds() - self._saved > pace.save_seconds:
            due = True
        if not due or self._checkpoint is None:
            return
        if self._recent:
            self._losses()
        self._saved = self._seconds()
        if not self._devices.first:
            return
        cuda = self._devices.device.type == "cuda"
        Checkpoint(
            step=at.step,
            weights=self._learner.state(),
            optimizer=self._optimizer.state_dict(),
            scaler=self._scaler.state_dict(),
            random_state=torch.get_rng_state(),
            cuda_random_state=torch.cuda.get_rng_state() if cuda else None,
            best_loss=at.best_loss,
            best_step=at.best_step,
            seconds=self._saved,
            about=self._about,
        ).save(self._checkpoint)

    def _resume(self) -> None:
        found = None if self._checkpoint is None else Checkpoint.load(self._checkpoint)
        if found is not None:
            if self._about and found.about != self._about:
                raise MismatchError(
                    f"{self._log.path.parent} holds a run with other settings or other data: "
                    "name another directory"
                )
            self._learner.load_state(found.weights)
            self._optimizer.load_state_dict(found.optimizer)
            self._scaler.load_state_dict(found.scaler)
            torch.set_rng_state(found.random_state)
            if found.cuda_random_state is not None and self._devices.device.type == "cuda":
                torch.cuda.set_rng_state(found.cuda_random_state)
            self._at = _Progress(
                step=found.step,
                best_loss=found.best_loss,
                best_step=found.best_step,
                seconds=found.seconds,
                first=found.step,
            )
        if self._devices.first:
            self._log.take_back(self._at.step)
