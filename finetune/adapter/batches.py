"""Plan which examples share a forward pass, for a whole run, from its config alone, and prepare
batches in threads while the device computes the previous one.

A resumed run makes the same plan and continues within it. Examples with and without an image never
share a pass: an Mllama model would let text without an image attend to the padding image.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from finetune.adapter.collator import Tokens
from finetune.adapter.config import TrainConfig

Pass = tuple[int, ...]
"""The examples of a forward pass, by number."""

Step = tuple[Pass, ...]
"""The forward passes of an optimizer step."""

_SORTED = 50
"""Forward passes whose examples are sorted by length together."""
_THREADS = 4
"""Threads beside a GPU; on a CPU, which is busy with the model itself, one."""


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


class BatchesAhead(Iterator[dict[str, Tensor]]):
    """Batches in order, on the device; ``waited`` sums the seconds spent waiting for them."""

    def __init__(
        self,
        passes: Sequence[Sequence[Tokens]],
        collate: Callable[[Sequence[Tokens]], dict[str, Tensor]],
        device: torch.device,
    ) -> None:
        self.waited = 0.0
        self._passes = iter(passes)
        self._collate, self._device = collate, device
        threads = _THREADS if device.type == "cuda" else 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="batches")
        self._coming: deque[Future[dict[str, Tensor]]] = deque()
        for _ in range(2 * threads):
            self._submit()

    def __next__(self) -> dict[str, Tensor]:
        if not self._coming:
            self._pool.shutdown()
            raise StopIteration
        started = time.monotonic()
        batch = self._coming.popleft().result()
        self.waited += time.monotonic() - started
        self._submit()
        return {name: value.to(self._device, non_blocking=True) for name, value in batch.items()}

    def _submit(self) -> None:
        passed = next(self._passes, None)
        if passed is not None:
            self._coming.append(self._pool.submit(self._make, passed))

    def _make(self, examples: Sequence[Tokens]) -> dict[str, Tensor]:
        batch = self._collate(examples)
        if self._device.type == "cuda":
            return {name: value.pin_memory() for name, value in batch.items()}
        return batch
