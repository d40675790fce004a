"""Show the examples of a run, and try one step of it, without training.

    describe(data, config)                          # lines for a person
    try_step(trainable, data.train, objective)      # memory and time, measured

Activations depend on the kernels that torch picks for a device and a shape, so a step is run
instead of estimated: the longest forward pass of the first epoch, with gradients and the
optimizer's state, and one of usual length to measure the time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from db.errors import TooLargeError
from finetune.adapter.backends import Trainable
from finetune.adapter.batches import Pass, plan_epoch, plan_run
from finetune.adapter.collator import Tokens
from finetune.adapter.config import TrainConfig
from finetune.adapter.data import TrainingSet
from finetune.adapter.trainer import make_optimizer
from finetune.training.log import clock, memory_gb

_BARS = 12
_SHOWN = 3
"""Examples at least, where there are so many."""


def describe(data: TrainingSet, config: TrainConfig) -> Iterator[str]:
    """Lines for a person: an example of each task, lengths and steps."""
    for number in chosen_examples(data.tasks):
        yield from data.describe(number)
    yield "--- tokens per example"
    yield from histogram([len(tokens) for tokens in data.train])
    steps = plan_run(data.train, config)
    yield (
        f"{len(data.train)} training and {len(data.val)} validation examples, {data.too_long} "
        f"left out as longer than {config.max_tokens} tokens (and {data.val_too_long} of "
        f"validation); {len(steps)} optimizer steps"
    )


def chosen_examples(tasks: Sequence[str]) -> list[int]:
    """The first example of each task, and others spread over all up to three."""
    chosen = {tasks.index(task) for task in dict.fromkeys(tasks)}
    count = len(tasks)
    for number in (2 * count // 3, count // 3, *range(count)):
        if len(chosen) >= _SHOWN:
            break
        chosen.add(number)
    return sorted(chosen)


def histogram(lengths: Sequence[int]) -> Iterator[str]:
    """Draw one bar per range of lengths."""
    low, high = min(lengths), max(lengths)
    width = max(1, -(-(high + 1 - low) // _BARS))
    counts = [0] * (-(-(high + 1 - low) // width))
    for length in lengths:
        counts[(length - low) // width] += 1
    for place, count in enumerate(counts):
        start = low + place * width
        bar = "#" * (-(-40 * count // max(counts)) if count else 0)
        yield f"{start:6}-{start + width - 1:<6} {count:7} {bar}"


def largest_pass(data: Sequence[Tokens], config: TrainConfig) -> tuple[int, int]:
    """Examples and padded tokens each of the most demanding forward pass."""
    longest = max(len(tokens) for tokens in data)
    if config.batch_tokens:
        shortest = min(len(tokens) for tokens in data)
        return max(1, config.batch_tokens // max(1, shortest)), shortest
    return config.batch, longest


@dataclass(frozen=True, kw_only=True)
class StepTrial:
    """What a run takes, measured."""

    memory_gb: float
    """Peak, as the log of a run has it: of the GPU, or else of the process."""
    epoch_seconds: float
    """On one device."""
    steps: int
    """Of an epoch."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """How examples become the loss of a forward pass."""

    collate: Callable[[Sequence[Any]], dict[str, Tensor]]
    loss: Callable[[dict[str, Tensor]], Tensor]


def try_step(trainable: Trainable, examples: Sequence[Tokens], objective: Objective) -> StepTrial:
    """Run an optimizer step; the weights change, so load them again to train.

    Raises TooLargeError where it does not fit into the memory of a GPU.
    """
    config = trainable.config
    plan = plan_epoch(examples, config, 0)
    passes = sorted((p for step in plan for p in step), key=lambda p: _tokens(examples, p))
    longest, usual = passes[-1], passes[len(passes) // 2]
    optimizer = make_optimizer(list(trainable.weights.values()), config)
    try:
        _run(trainable, [examples[number] for number in longest], objective)
        optimizer.step()
        usual_examples = [examples[number] for number in usual]
        seconds = _run(
            trainable, usual_examples, objective
        )  # gradients and optimizer state are there as well
    except torch.OutOfMemoryError as error:
        raise TooLargeError(
            f"a forward pass of {_tokens(examples, longest)} tokens does not fit into the GPU: "
            "use --bits 4, a smaller --batch, or a lower max_tokens"
        ) from error
    total = sum(_tokens(examples, one) for one in passes)
    return StepTrial(
        memory_gb=memory_gb(trainable.device),
        epoch_seconds=seconds * total / _tokens(examples, usual),
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


def _run(trainable: Trainable, examples: Sequence[Tokens], objective: Objective) -> float:
    """Seconds of a forward and a backward pass."""
    batch = {n: v.to(trainable.device) for n, v in objective.collate(examples).items()}
    started = time.monotonic()
    objective.loss(batch).backward()  # type: ignore[no-untyped-call]
    if trainable.device.type == "cuda":
        torch.cuda.synchronize(trainable.device)
    return time.monotonic() - started


def _tokens(examples: Sequence[Tokens], numbers: Pass) -> int:
    """Padded tokens of a forward pass."""
    return len(numbers) * max(len(examples[number]) for number in numbers)
