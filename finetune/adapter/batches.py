"""Plan which examples share a forward pass, for a whole run, from its config alone.

A resumed run makes the same plan and continues within it. Examples with and without an image never
share a pass: an Mllama model would let text without an image attend to the padding image.
"""

from collections.abc import Sequence

import numpy as np

from finetune.adapter.collator import Tokens
from finetune.adapter.config import TrainConfig

Pass = tuple[int, ...]
"""The examples of a forward pass, by number."""

Step = tuple[Pass, ...]
"""The forward passes of an optimizer step."""

_SORTED = 50
"""Forward passes whose examples are sorted by length together."""


def plan_run(examples: Sequence[Tokens], config: TrainConfig) -> list[Step]:
    """All optimizer steps of a run."""
    steps: list[Step] = []
    epoch = 0
    while len(steps) < config.max_steps if config.max_steps else epoch < config.epochs:
        steps += plan_epoch(examples, config, epoch)
        epoch += 1
    return steps[: config.max_steps] if config.max_steps else steps


def plan_epoch(examples: Sequence[Tokens], config: TrainConfig, epoch: int) -> list[Step]:
    """Every example once, in an order drawn from the seed and the epoch."""
    rng = np.random.default_rng((config.seed, epoch))
    passes = _passes(rng.permutation(len(examples)).tolist(), examples, config)
    passes = [passes[place] for place in rng.permutation(len(passes))]
    return [
        tuple(passes[start : start + config.accumulation])
        for start in range(0, len(passes), config.accumulation)
    ]


def plan_validation(examples: Sequence[Tokens], config: TrainConfig) -> list[Pass]:
    """Every example once."""
    return _passes(list(range(len(examples))), examples, config)


def _passes(order: Sequence[int], examples: Sequence[Tokens], config: TrainConfig) -> list[Pass]:
    passes: list[Pass] = []
    for seen in (True, False):
        numbers = [number for number in order if (examples[number].image is not None) == seen]
        if config.batch_tokens:
            passes += _by_tokens(numbers, examples, config.batch_tokens)
        else:
            passes += [
                tuple(numbers[start : start + config.batch])
                for start in range(0, len(numbers), config.batch)
            ]
    return passes


def _by_tokens(order: Sequence[int], examples: Sequence[Tokens], budget: int) -> list[Pass]:
    """Fill each pass with examples of similar length, padded to the longest of them."""
    passes: list[Pass] = []
    mean = max(1.0, sum(len(examples[number]) for number in order) / max(1, len(order)))
    chunk = max(1, int(_SORTED * budget / mean))
    for start in range(0, len(order), chunk):
        waiting: list[int] = []
        for number in sorted(order[start : start + chunk], key=lambda n: len(examples[n])):
            if waiting and len(examples[number]) * (len(waiting) + 1) > budget:
                passes.append(tuple(waiting))
                waiting = []
            waiting.append(number)
        if waiting:
            passes.append(tuple(waiting))
    return passes
