"""Which examples go into which forward pass: the whole plan of a run, from its config alone.

A run that is resumed makes the same plan and goes on within it.
"""

from collections.abc import Sequence

import numpy as np

from finetune.config import TrainConfig

Step = tuple[tuple[int, ...], ...]
"""The forward passes of an optimizer step, each as the numbers of its examples."""

_SORTED = 50
"""Forward passes whose examples are sorted by length together."""


def plan_epoch(lengths: Sequence[int], config: TrainConfig, epoch: int) -> list[Step]:
    """Every example once, in an order drawn from the seed and the epoch."""
    rng = np.random.default_rng((config.seed, epoch))
    order = rng.permutation(len(lengths)).tolist()
    if config.batch_tokens:
        passes = _by_tokens(order, lengths, config.batch_tokens)
        passes = [passes[place] for place in rng.permutation(len(passes))]
    else:
        passes = [
            tuple(order[start : start + config.batch])
            for start in range(0, len(order), config.batch)
        ]
    return [
        tuple(passes[start : start + config.accumulation])
        for start in range(0, len(passes), config.accumulation)
    ]


def plan_run(lengths: Sequence[int], config: TrainConfig) -> list[Step]:
    """All optimizer steps of a run."""
    steps: list[Step] = []
    epoch = 0
    while len(steps) < config.max_steps if config.max_steps else epoch < config.epochs:
        steps += plan_epoch(lengths, config, epoch)
        epoch += 1
    return steps[: config.max_steps] if config.max_steps else steps


def plan_validation(lengths: Sequence[int], config: TrainConfig) -> list[tuple[int, ...]]:
    """Forward passes over the examples, alike in length."""
    budget = config.batch_tokens or config.batch * config.max_tokens
    return _by_tokens(list(range(len(lengths))), lengths, budget)


def _by_tokens(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[tuple[int, ...]]:
    passes: list[tuple[int, ...]] = []
    mean = max(1.0, sum(lengths) / max(1, len(lengths)))
    chunk = max(1, int(_SORTED * budget / mean))
    for start in range(0, len(order), chunk):
        waiting: list[int] = []
        for number in sorted(order[start : start + chunk], key=lambda n: lengths[n]):
            if waiting and lengths[number] * (len(waiting) + 1) > budget:
                passes.append(tuple(waiting))
                waiting = []
            waiting.append(number)
        if waiting:
            passes.append(tuple(waiting))
    return passes
