"""Both passes of a batch as a CUDA graph, recorded when a shape comes for the second time.

passes = RecordedPasses()
loss, gradients = passes(work, compute, before)         # compute(work), or its replay

A step at 11 billion weights is some five thousand kernels, which Python launches more slowly than
a fast GPU runs them. A graph needs fixed shapes and addresses: its inputs are copied into place,
and what it returns is valid until the next call. All graphs share one pool of memory.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from finetune.fused.step import FusedBatch

MOST = 16
"""Graphs; other shapes run without."""

Result = tuple[Tensor, list[Tensor]]


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    work: "FusedBatch"
    """Whose rotary tables every replay reads."""
    result: Result


class RecordedPasses:
    """Graphs by shape."""

    def __init__(self) -> None:
        self._seen: Counter[Hashable] = Counter()
        self._held: dict[Hashable, _Recording] = {}
        self._pool: Any = None

    def __call__(
        self,
        work: "FusedBatch",
        compute: Callable[["FusedBatch"], Result],
        before: Callable[[], None],
    ) -> Result:
        """``before`` is called before ``compute``, which must then depend on nothing earlier."""
        key = self._key(work)
        self._seen[key] += 1
        recording = self._held.get(key)
        if recording is None:
            before()
            if self._seen[key] == 1 or len(self._held) >= MOST:
                return compute(work)
            recording = self._held[key] = self._record(work, compute)
        for place, given in zip(recording.inputs, _inputs(work), strict=True):
            place.copy_(given)
        recording.graph.replay()
        before()
        return recording.result

    def _record(self, work: "FusedBatch", compute: Callable[["FusedBatch"], Result]) -> _Recording:
        """Nothing runs yet: the replay does."""
        inputs = [given.clone() for given in _inputs(work)]
        hidden, places, aims, shares, *image = inputs
        fixed = replace(
            work,
            hidden=hidden,
            image=image[0] if image else None,
            answers=replace(work.answers, places=places, aims=aims, shares=shares),
        )
        graph = torch.cuda.CUDAGraph()
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        # threads that prepare batches may go on meanwhile
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            result = compute(fixed)
        return _Recording(graph, inputs, fixed, result)

    @staticmethod
    def _key(work: "FusedBatch") -> Hashable:
        places = work.batch.places
        image = None if places is None else (*places.image_at, *places.patches)
        return (*(given.shape for given in _inputs(work)), work.batch.rows, image)


def _inputs(work: "FusedBatch") -> list[Tensor]:
    answers = work.answers
    given = [work.hidden, answers.places, answers.aims, answers.shares]
    return given if work.image is None else [*given, work.image]
