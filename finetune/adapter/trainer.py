"""Trains an adapter: a run from its first optimizer step, or from its checkpoint, to its end.

The plan of a run follows from its config and its examples, and dropout is seeded. The adapter kept
is the one with the lowest validation loss.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from finetune.adapter.backends import IGNORED, Trainable, answer_loss
from finetune.adapter.batches import BatchesAhead, plan_run, plan_validation
from finetune.adapter.config import TrainConfig
from finetune.adapter.data import TrainingSet
from finetune.export.adapter_files import save_adapter
from finetune.training.curves import draw_curves
from finetune.training.devices import Devices
from finetune.training.learner import Learner, Pace, RunEnd
from finetune.training.loop import TrainingLoop
from finetune.training.schedules import Position, linear
from generator.mllama.adapter_record import AdapterRecord

RUN = "run"
CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
CURVES = "curves.png"


class AdapterTrainer(Learner):
    """Trains in ``out_dir``, which holds the best adapter so far; ``out_dir/run`` the rest."""

    losses: ClassVar[tuple[str, ...]] = ("loss",)
    panels: ClassVar[Mapping[str, Sequence[str]]] = {
        "loss": ("loss", "val_loss"),
        "learning rate": ("lr",),
        "tokens per second": ("tokens_per_second",),
    }

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
        """Raises UserError where there are more processes than examples in a step."""
        self.trainable, self.data, self.out_dir, self.record = trainable, data, out_dir, record
        self.config: TrainConfig = trainable.config
        self.devices, self.show = devices, show
        self.weights = trainable.weights
        self.collate: Callable[[Sequence[Any]], dict[str, Tensor]] = data.collate
        self.run_dir = out_dir / RUN
        self.plan = plan_run(data.train, self.config)
        devices.check_work(self.plan)
        self._batches: BatchesAhead | None = None
        self._waited = 0.0
        self._hurried = False

    def train(self, *, max_seconds: float | None = None) -> RunEnd:
        """Train to the end, or for ``max_seconds`` at most; an unfinished run can be resumed.

        Raises UserError where the loss is NaN or infinite: the adapter and the checkpoint of
        before stay.
        """
        config, total = self.config, len(self.plan)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        loop = TrainingLoop(
            self,
            make_optimizer(self.parameters, config),
            Pace(
                steps=total,
                evaluate_every=config.eval_every or max(1, math.ceil(total / 10)),
                save_every=config.save_every,
                max_grad_norm=config.max_grad_norm,
            ),
            schedule=linear(config.warmup),
            log=self.run_dir / LOG,
            checkpoint=self.run_dir / CHECKPOINT,
            devices=self.devices,
            show=self.show,
            scaler=torch.amp.GradScaler(
                self.trainable.device.type, enabled=config.precision == "float16"
            ),
        )
        return loop.run(pause_after=max_seconds)

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.weights.values())

    def steps(self, start: int) -> Iterator[Sequence[Any]]:
        train = self.data.train
        mine = [self.devices.share(passes) for passes in self.plan[start:]]
        batches = BatchesAhead(
            [[train[number] for number in numbers] for share in mine for numbers in share],
            self.collate,
            self.trainable.device,
        )
        self._batches, self._waited = batches, 0.0
        for passes, share in zip(self.plan[start:], mine, strict=True):
            counted = sum(train[number].counted for numbers in passes for number in numbers)
            yield [(next(batches), counted) for _ in share]

    def loss(
        self, batch: tuple[dict[str, Tensor], int], at: Position | None
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """That of a step is the mean over the answers' tokens of all its examples."""
        inputs, counted = batch
        share = int((inputs["labels"] != IGNORED).sum()) / counted
        loss = answer_loss(self.trainable, inputs) * share
        return loss, {"loss": loss}

    def evaluate(self) -> dict[str, Any]:
        if not self.data.val:
            return {}
        scores: dict[str, Any] = self.validate()
        if self.data.sample is not None and self.devices.first and not self._hurried:
            scores["sample"] = self.data.sample(self.trainable)
        return scores

    def evaluation_steps(self) -> float:
        """By forward passes: those of a validation are shorter than those of a step."""
        passes = sum(len(step) for step in self.plan) / len(self.plan)
        return len(plan_validation(self.data.val, self.config)) / passes

    def hurry(self) -> None:
        """Write no sample."""
        self._hurried = True

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Means over all that the validation examples count, ``val_loss`` first."""
        plan = self.devices.share(plan_validation(self.data.val, self.config))
        batches = BatchesAhead(
            [[self.data.val[number] for number in numbers] for numbers in plan],
            self.collate,
            self.trainable.device,
        )
        sums = {name: torch.zeros((), device=self.trainable.device) for name in self.losses}
        unsloth = self.config.backend == "unsloth"  # it keeps its own record of modes
        with nullcontext() if unsloth else _evaluating(self.trainable.model):
            for batch in batches:
                for name, value in self.loss((batch, 1), None)[1].items():
                    sums[name] += value
        count = sum(self.data.val[number].counted for numbers in plan for number in numbers)
        counted = self.devices.sum(torch.tensor(float(count), device=self.trainable.device))
        return {f"val_{name}": float(self.devices.sum(s) / counted) for name, s in sums.items()}

    def measures(self, at: Position, seconds: float) -> dict[str, float]:
        examples = [number for numbers in self.plan[at.step] for number in numbers]
        waited = self._batches.waited if self._batches is not None else 0.0
        late, self._waited = waited - self._waited, waited
        return {
            "tokens_per_second": sum(len(self.data.train[n]) for n in examples) / seconds,
            "examples_per_second": len(examples) / seconds,
            "wait_share": late / seconds,
        }

    def state(self) -> dict[str, Tensor]:
        return {name: weight.detach() for name, weight in self.weights.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        for name, weight in self.weights.items():
            weight.data.copy_(state[name])

    def keep(self, step: int, val_loss: float | None) -> None:
        if self.devices.first:
            save_adapter(
                self.trainable.model,
                self.out_dir,
                replace(self.record, step=step, val_loss=val_loss),
            )

    def kept_score(self) -> tuple[int, float] | None:
        record = AdapterRecord.read(self.out_dir)
        if record is None or record.val_loss is None:
            return None
        return record.step, record.val_loss

    def kept(self, step: int) -> str:
        if not step:
            return "no adapter was kept yet"
        return f"the adapter of step {step} is kept in {self.out_dir}"

    def logged_scores(self) -> None:
        draw_curves(self.run_dir / LOG, self.run_dir / CURVES, self.panels)


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
        from finetune.training.adamw8bit import AdamW8bitAhead

        adamw: Any = AdamW8bitAhead
        return adamw(weights, **settings)  # type: ignore[no-any-return]
    return torch.optim.AdamW(weights, **settings)
