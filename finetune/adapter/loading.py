"""Batches prepared in threads while the device computes the previous one."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from finetune.adapter.collator import Tokens

_THREADS = 4
"""Threads beside a GPU; on a CPU, which is busy with the model itself, one."""


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
