"""The training loop of adapters, of encoders, and of the small base model's recipe.

    loop = TrainingLoop(learner, optimizer, pace, schedule=linear(0.03), checkpoint=..., log=...)
    end = loop.run(pause_after=600)

A learner brings its model, batches and losses. The loop sets learning rates, adds up and clips
gradients, logs, evaluates, keeps what is best, writes checkpoints, and stops where a loss is NaN. A
run that was killed and resumed ends with the same bytes as one left alone. SIGTERM and Ctrl-C end
it after the step under way, with a checkpoint.

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
from functools import partial
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
from finetune.training.stopping import Stopping, StopReason

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
        self._saved = 0.0
        self._stopping = Stopping(devices, limit=None, signals=False)

    def run(self, *, pause_after: float | None = None) -> RunEnd:
        """Train to the end, or for ``pause_after`` seconds at most, but one step at least.

        Raises MismatchError for a checkpoint of another run, and UserError where a loss, a gradient
        or a weight is NaN or infinite: what was kept and the checkpoint of before stay. A signal
        ends the process, after a checkpoint.
        """
        signals = self._checkpoint is not None and self._learner.resumes_anywhere
        with Stopping(self._devices, limit=pause_after, signals=signals) as self._stopping:
            self._stopping.evaluation_steps = self._learner.evaluation_steps()
            return self._run(self._stopping)

    def _run(self, stopping: Stopping) -> RunEnd:
        self._resume()
        at, pace = self._at, self._pace
        self._saved = at.seconds
        stopping.start()
        steps = self._learner.steps(at.step)
        position = self._position()
        while position.progress < 1:
            started = time.monotonic()
            self._update(next(steps), position)
            at.step += 1
            due = at.step % pace.evaluate_every == 0
            stopping.look(steps=at.step - at.first, evaluates=due)
            before, position = position, self._position()
            done = position.progress >= 1
            reason = StopReason.NONE if done else stopping.reason
            evaluated = reason == StopReason.TIME or (not reason and (due or done))
            if reason == StopReason.TIME:
                self._learner.hurry()
            if evaluated or reason or at.step % pace.log_every == 0:
                self._write_line(before, position, started, evaluated)
            if reason == StopReason.TIME_IS_SHORT and not at.best_step:
                self._check_weights()
                self._write(partial(self._learner.keep, at.step, None))
                at.best_step = at.step
            self._save(evaluated, paused=reason > 0, owed=due and not evaluated)
            if reason:
                break
        stopping.look()
        if stopping.reason == StopReason.SIGNAL and position.progress < 1:
            if self._devices.first:
                self._log.show(
                    f"stopped by {stopping.signal_name} at step {at.step}: continue with --resume"
                )
            stopping.end_process()
        return RunEnd(
            step=at.step,
            total=pace.steps,
            finished=position.progress >= 1,
            best_step=at.best_step,
            best_loss=at.best_loss,
        )

    def _seconds(self) -> float:
        """Of training up to the last step, with those of earlier calls."""
        return self._at.seconds + self._stopping.seconds

    def _write(self, work: Callable[[], None]) -> None:
        """Write in the first process; what it cannot is raised by all after the next step."""
        if not self._devices.first:
            return
        try:
            work()
        except UserError as error:
            if self._devices.count == 1:
                raise
            self._stopping.failure = error

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

    def _check_weights(self) -> None:
        """Raises UserError for a weight that is NaN or infinite, which is never saved."""
        sums = torch.stack([w.detach().float().sum() for w in self._learner.parameters])
        if not bool(torch.isfinite(sums).all()):
            self._stop("a weight is NaN or infinite")

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
            left = (1 - position.progress) * self._stopping.seconds / share
            self._log.show_step(line, losses=losses, total=position.total, seconds_left=left)
        scores = self._evaluate() if evaluated else {}

        def log() -> None:
            self._log.write(line | scores)
            if scores:
                self._log.show_scores(scores)
                self._learner.logged_scores()

        self._write(log)

    def _evaluate(self) -> dict[str, Any]:
        at = self._at
        self._check_weights()
        with self._stopping.evaluation():
            scores = self._learner.evaluate()
        value = scores.get("val_loss")
        if value is not None and not math.isfinite(value):
            self._stop("validation loss is NaN or infinite")
        if value is None or at.best_loss is None or value < at.best_loss:
            at.best_loss, at.best_step = value, at.step
            self._write(partial(self._learner.keep, at.step, value))
        return scores

    def _save(self, evaluated: bool, *, paused: bool, owed: bool) -> None:
        pace, at = self._pace, self._at
        due = paused or (pace.save_every > 0 and (evaluated or at.step % pace.save_every == 0))
        if pace.save_seconds is not None and self._seconds() - self._saved > pace.save_seconds:
            due = True
        if not due or self._checkpoint is None:
            return
        if self._recent:
            self._losses()
        self._check_weights()
        self._saved = self._seconds()
        self._save_checkpoint(self._checkpoint, owed=owed)

    def _save_checkpoint(self, path: Path, *, owed: bool = False) -> None:
        at = self._at
        made = Checkpoint.of(
            *(self._learner, self._optimizer, self._scaler, self._devices),
            step=at.step,
            best_loss=at.best_loss,
            best_step=at.best_step,
            seconds=self._saved,
            evaluated=not owed,
            about=self._about,
        )
        self._write(partial(made.save, path))

    def _resume(self) -> None:
        path = self._checkpoint
        found = None if path is None else Checkpoint.load(path)
        if found is not None:
            if self._about and found.about != self._about:
                raise MismatchError(
                    f"{self._log.path.parent} holds a run with other settings or other data: "
                    "name another directory"
                )
            found.restore(self._learner, self._optimizer, self._scaler, self._devices)
            self._at = _Progress(
                step=found.step,
                best_loss=found.best_loss,
                best_step=found.best_step,
                seconds=found.seconds,
                first=found.step,
            )
            kept = self._learner.kept_score()  # perhaps after the checkpoint, by a run then killed
            if kept is not None and (found.best_loss is None or kept[1] < found.best_loss):
                self._at.best_step, self._at.best_loss = kept
        elif path is not None and self._pace.save_every and self._learner.resumes_anywhere:
            self._save_checkpoint(path)  # from now on a missing one was lost
        if self._devices.first:
            self._log.take_back(self._at.step)
        if path is not None and found is not None and not found.evaluated:
            scores = self._evaluate()
            self._write(partial(self._log.add, self._at.step, scores))
            self._save_checkpoint(path)
