"""The training loop: a run from its first optimizer step, or from its checkpoint, to its end.

The plan of a run follows from its config and its examples, dropout is seeded, and a checkpoint
holds the rest, so that a run that was killed and resumed ends with the weights of one left alone.
The adapter kept is the one with the lowest validation loss.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from db.errors import UserError
from finetune.adapter.backends import IGNORED, Trainable, answer_loss
from finetune.adapter.batches import plan_run, plan_validation
from finetune.adapter.checkpoints import Checkpoint
from finetune.adapter.config import TrainConfig
from finetune.adapter.data import TrainingSet
from finetune.adapter.devices import Devices
from finetune.export.adapter_files import save_adapter
from finetune.loading import BatchesAhead
from finetune.log import TrainingLog, memory_gb
from finetune.plots import draw_curves
from generator.mllama.adapter_record import AdapterRecord

RUN = "run"
CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
CURVES = "curves.png"

_SKIPPED = 20
"""Steps in a row that float16 may skip for gradients out of its range."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    step: int
    total: int
    best_step: int
    best_loss: float | None

    @property
    def finished(self) -> bool:
        return self.step == self.total


@dataclass
class _Progress:
    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    seconds: float = 0.0
    """Of training in earlier calls."""
    skipped: int = 0
    began: float = field(default_factory=time.monotonic)
    first: int = 0
    """Step at which this call began."""


class Trainer:
    """Trains in ``out_dir``, which holds the best adapter so far; ``out_dir/run`` the rest."""

    def __init__(
        self,
        trainable: Trainable,
        data: TrainingSet,
        out_dir: Path,
        record: AdapterRecord,
        *,
        devices: Devices,
        show: Callable[[str], None],
    ) -> None:
        self.trainable, self.data, self.out_dir, self.record = trainable, data, out_dir, record
        self.config: TrainConfig = trainable.config
        self.devices = devices
        self.weights = trainable.weights
        self.run_dir = out_dir / RUN
        self.log = TrainingLog(self.run_dir / LOG, show)
        self.steps = plan_run(data.train, self.config)
        self.eval_every = self.config.eval_every or max(1, math.ceil(len(self.steps) / 10))
        self.optimizer = make_optimizer(list(self.weights.values()), self.config)
        self.scaler = torch.amp.GradScaler(
            trainable.device.type, enabled=self.config.precision == "float16"
        )
        self.at = _Progress()

    def train(self, *, max_seconds: float | None = None) -> Outcome:
        """Train to the end, or for about ``max_seconds``; an unfinished run can be resumed.

        Raises UserError where the loss is no number: the adapter and the checkpoint of before stay.
        """
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._resume()
        at, total = self.at, len(self.steps)
        mine = [self.devices.share(passes) for passes in self.steps[at.step :]]
        train = self.data.train
        batches = BatchesAhead(
            [[train[number] for number in numbers] for share in mine for numbers in share],
            self.data.collate,
            self.trainable.device,
        )
        for share in mine:
            started = time.monotonic()
            waited = batches.waited
            loss, norm = self._step([next(batches) for _ in share])
            at.step += 1
            seconds = time.monotonic() - started
            self._log_step(loss, norm, seconds, batches.waited - waited)
            enough = max_seconds is not None and time.monotonic() - at.began > max_seconds
            last = at.step == total or enough
            if last or at.step % self.eval_every == 0:
                self._evaluate()
            if last or at.step % self.eval_every == 0 or at.step % self.config.save_every == 0:
                self._save()
            if enough:
                break
        return Outcome(step=at.step, total=total, best_step=at.best_step, best_loss=at.best_loss)

    def _step(self, batches: Sequence[dict[str, Tensor]]) -> tuple[float, float]:
        """One optimizer step; the loss is the mean over the tokens of all its examples."""
        counted = sum(
            len(self.data.train[number]) - self.data.train[number].prompt_length
            for numbers in self.steps[self.at.step]
            for number in numbers
        )
        loss = torch.zeros((), device=self.trainable.device)
        for batch in batches:
            share = int((batch["labels"] != IGNORED).sum()) / counted
            part = answer_loss(self.trainable, batch) * share
            self.scaler.scale(part).backward()  # type: ignore[no-untyped-call]
            loss += part.detach()
        self.devices.sum_gradients(list(self.weights.values()))
        value = float(self.devices.sum(loss))
        if not math.isfinite(value):
            self._stop("the loss is no number")
        self.scaler.unscale_(self.optimizer)
        norm = float(nn.utils.clip_grad_norm_(self.weights.values(), self.config.max_grad_norm))
        if math.isfinite(norm):
            self.at.skipped = 0
        elif not self.scaler.is_enabled() or self.at.skipped >= _SKIPPED:
            self._stop("the gradient is no number")
        else:
            self.at.skipped += 1
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.at.step, len(self.steps), self.config)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return value, norm

    def _stop(self, reason: str) -> None:
        kept = (
            f"the adapter of step {self.at.best_step} is kept in {self.out_dir}"
            if self.at.best_step
            else "no adapter was kept yet"
        )
        raise UserError(
            f"{reason} at step {self.at.step + 1} (learning rate {self.config.lr:g}): {kept}; "
            "train again into another directory with a lower --lr"
        )

    def _log_step(self, loss: float, norm: float, seconds: float, waited: float) -> None:
        if not self.devices.first:
            return
        at, total = self.at, len(self.steps)
        passed = time.monotonic() - at.began
        examples = [number for numbers in self.steps[at.step - 1] for number in numbers]
        tokens = sum(len(self.data.train[number]) for number in examples)
        self.log.step(
            {
                "step": at.step,
                "loss": loss,
                "lr": learning_rate(at.step - 1, total, self.config),
                "grad_norm": norm,
                "tokens_per_second": tokens / seconds,
                "examples_per_second": len(examples) / seconds,
                "memory_gb": memory_gb(self.trainable.device),
                "wait_share": waited / seconds,
                "seconds": at.seconds + passed,
            },
            total=total,
            seconds_left=(total - at.step) * passed / (at.step - at.first),
        )

    def _evaluate(self) -> None:
        """Score on the validation examples; keep the adapter if it is the best so far."""
        at = self.at
        if not self.data.val:
            self._keep(None)
            return
        value = self.validation_loss()
        if not math.isfinite(value):
            self._stop("the validation loss is no number")
        line: dict[str, Any] = {"step": at.step, "val_loss": value}
        if self.data.sample is not None and self.devices.first:
            line["sample"] = self.data.sample(self.trainable)
        if self.devices.first:
            self.log.write(line)
            self.log.show(f"step {at.step}/{len(self.steps)}  validation loss {value:.4f}")
            if "sample" in line:
                self.log.show(f"  sample: {line['sample']}")
            draw_curves(self.run_dir / LOG, self.run_dir / CURVES)
        if at.best_loss is None or value < at.best_loss:
            self._keep(value)

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Mean over the answers' tokens of the validation examples."""
        plan = self.devices.share(plan_validation(self.data.val, self.config))
        batches = BatchesAhead(
            [[self.data.val[number] for number in numbers] for numbers in plan],
            self.data.collate,
            self.trainable.device,
        )
        loss = torch.zeros((), device=self.trainable.device)
        count = torch.zeros((), device=self.trainable.device)
        unsloth = self.config.backend == "unsloth"  # it keeps its own record of modes
        with nullcontext() if unsloth else _evaluating(self.trainable.model):
            for batch in batches:
                counted = int((batch["labels"] != IGNORED).sum())
                loss += answer_loss(self.trainable, batch) * counted
                count += counted
        return float(self.devices.sum(loss) / self.devices.sum(count))

    def _keep(self, value: float | None) -> None:
        self.at.best_loss, self.at.best_step = value, self.at.step
        if self.devices.first:
            save_adapter(
                self.trainable.model,
                self.out_dir,
                replace(self.record, step=self.at.step, val_loss=value),
            )

    def _save(self) -> None:
        if not self.devices.first:
            return
        cuda = self.trainable.device.type == "cuda"
        Checkpoint(
            step=self.at.step,
            weights={name: weight.detach() for name, weight in self.weights.items()},
            optimizer=self.optimizer.state_dict(),
            scaler=self.scaler.state_dict(),
            random_state=torch.get_rng_state(),
            cuda_random_state=torch.cuda.get_rng_state() if cuda else None,
            best_loss=self.at.best_loss,
            best_step=self.at.best_step,
            seconds=self.at.seconds + time.monotonic() - self.at.began,
        ).save(self.run_dir / CHECKPOINT)

    def _resume(self) -> None:
        found = Checkpoint.load(self.run_dir / CHECKPOINT)
        if found is None:
            if self.devices.first:
                self.log.take_back(0)
            return
        for name, weight in self.weights.items():
            weight.data.copy_(found.weights[name])
        self.optimizer.load_state_dict(found.optimizer)
        self.scaler.load_state_dict(found.scaler)
        torch.set_rng_state(found.random_state)
        if found.cuda_random_state is not None and self.trainable.device.type == "cuda":
            torch.cuda.set_rng_state(found.cuda_random_state)
        self.at = _Progress(
            step=found.step,
            best_loss=found.best_loss,
            best_step=found.best_step,
            seconds=found.seconds,
            first=found.step,
        )
        if self.devices.first:
            self.log.take_back(found.step)


class _evaluating:  # noqa: N801
    """Dropout off, and on again."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def __enter__(self) -> None:
        self._model.eval()

    def __exit__(self, *_: object) -> None:
        self._model.train()


def make_optimizer(weights: list[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    settings: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "adamw8bit":
        from bitsandbytes import optim

        adamw: Any = optim
        return adamw.AdamW8bit(weights, **settings)  # type: ignore[no-any-return]
    return torch.optim.AdamW(weights, **settings)


def learning_rate(step: int, total: int, config: TrainConfig) -> float:
    """Of the optimizer step after ``step`` others: a linear rise, then a linear fall to 0."""
    warm = max(1, round(config.warmup * total))
    if step < warm:
        return config.lr * (step + 1) / warm
    return config.lr * (total - step) / max(1, total - warm)
