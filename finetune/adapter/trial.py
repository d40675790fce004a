"""Measure one optimizer step of a run on the device that will train it: memory and time.

    trial = try_step(trainable, data)
    describe_trial(trial, "base weights 0.38 GB", epochs=3, devices=1)

Activations depend on the kernels that torch picks for a device and a shape, so a step is run
instead of estimated: the longest forward pass of the first epoch, with gradients and the
optimizer's state, and one of usual length to measure the time.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from db.errors import TooLargeError
from finetune.adapter.backends import Trainable, answer_loss
from finetune.adapter.batches import Pass, plan_epoch
from finetune.adapter.collator import Tokens
from finetune.adapter.data import TrainingSet
from finetune.adapter.trainer import make_optimizer
from finetune.training.log import clock, memory_gb


@dataclass(frozen=True, kw_only=True)
class StepTrial:
    """What a run takes, measured."""

    memory_gb: float
    """Peak, as the log of a run has it: of the GPU, or else of the process."""
    epoch_seconds: float
    """On one device."""
    steps: int
    """Of an epoch."""


def try_step(trainable: Trainable, data: TrainingSet) -> StepTrial:
    """Run an optimizer step; the weights change, so load them again to train.

    Raises TooLargeError where it does not fit into the memory of a GPU.
    """
    config = trainable.config
    plan = plan_epoch(data.train, config, 0)
    passes = sorted((p for step in plan for p in step), key=lambda p: _tokens(data.train, p))
    longest, usual = passes[-1], passes[len(passes) // 2]
    optimizer = make_optimizer(list(trainable.weights.values()), config)
    try:
        _run(trainable, data, longest)
        optimizer.step()
        seconds = _run(trainable, data, usual)  # gradients and optimizer state are there as well
    except torch.OutOfMemoryError as error:
        raise TooLargeError(
            f"a forward pass of {_tokens(data.train, longest)} tokens does not fit into the GPU: "
            "use --bits 4, a smaller --batch, or a lower max_tokens"
        ) from error
    total = sum(_tokens(data.train, one) for one in passes)
    return StepTrial(
        memory_gb=memory_gb(trainable.device),
        epoch_seconds=seconds * total / _tokens(data.train, usual),
        steps=len(plan),
    )


def describe_trial(trial: StepTrial, weights: str, *, epochs: float, devices: int) -> str:
    """A line for a person; ``weights`` says what of the memory the weights take."""
    epoch = trial.epoch_seconds / devices
    return (
        f"memory: about {trial.memory_gb:.2f} GB, measured in a step ({weights}); time: about "
        f"{clock(epoch)} per epoch of {trial.steps} steps, {clock(epoch * epochs)} in all, "
        "without validations"
    )


def _run(trainable: Trainable, data: TrainingSet, numbers: Pass) -> float:
    """Seconds of a forward and a backward pass."""
    examples = [data.train[number] for number in numbers]
    batch = {n: v.to(trainable.device) for n, v in data.collate(examples).items()}
    started = time.monotonic()
    answer_loss(trainable, batch).backward()  # type: ignore[no-untyped-call]
    if trainable.device.type == "cuda":
        torch.cuda.synchronize(trainable.device)
    return time.monotonic() - started


def _tokens(examples: Sequence[Tokens], numbers: Pass) -> int:
    """Padded tokens of a forward pass."""
    return len(numbers) * max(len(examples[number]) for number in numbers)
