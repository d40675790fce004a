"""Both passes of a batch as a CUDA graph, recorded when a shape comes for the second time.

passes = RecordedPasses()
loss, gradients = passes(work, compute, before)         # compute(work), or its replay

A step at 11 billion weights is some five thousand kernels, which Python launches more slowly than
a fast GPU runs them. A graph needs fixed shapes and addresses: its inputs are copied into place,
and what it returns is valid until the next call. All graphs share one pool of memory, and what else
a step computes can be in it too:

with passes.memory(device):                             # nothing of it outlives the next replay
    features = encode(images)
"""

import gc
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from indexer.encoder.cuda_graph import RECORDING

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
        self._stream: Any = None
        """Memory is used again on the stream where it was used before."""

    def __call__(
        self,
        work: "FusedBatch",
        compute: Callable[["FusedBatch"], Result],
        before: Callable[[], None],
    ) -> Result:
        """``before`` is called before ``compute``, which must then depend on nothing earlier, and
        change nothing but what it returns and buffers of its own."""
        key = self._key(work)
        self._seen[key] += 1
        recording = self._held.get(key)
        if recording is None:
            before()
            if self._seen[key] == 1 or len(self._held) >= MOST:
                with self.memory(work.hidden.device):
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
        where: Any = self.where(work.hidden.device)
        gc.collect()  # the first pass may have left cycles that hold memory
        # threads that prepare batches may go on meanwhile
        with (
            RECORDING,
            torch.cuda.graph(graph, capture_error_mode="thread_local", **where),
        ):
            result = compute(fixed)
        return _Recording(graph, inputs, fixed, result)

    def where(self, device: torch.device) -> dict[str, Any]:
        """The pool and the stream of every recording, as ``torch.cuda.graph`` takes them."""
        if self._pool is None:
            stream: Any = torch.cuda.Stream
            self._pool, self._stream = torch.cuda.MemPool(), stream(device)
        return {"pool": self._pool.id, "stream": self._stream}

    @contextmanager
    def memory(self, device: torch.device) -> Iterator[None]:
        """Compute in the memory of the graphs; replays overwrite what is left there."""
        if device.type != "cuda" or torch.cuda.is_current_stream_capturing():
            yield
            return
        self.where(device)
        current = torch.cuda.current_stream(device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream), torch.cuda.use_mem_pool(self._pool, device):
            yield
        current.wait_stream(self._stream)

    @staticmethod
    def _key(work: "FusedBatch") -> Hashable:
        places = work.batch.places
        image = None if places is None else (*places.image_at, *places.patches)
        adapter = tuple(weight.data_ptr() for weight in work.parameters)
        return (*(given.shape for given in _inputs(work)), work.batch.rows, image, adapter)


def _inputs(work: "FusedBatch") -> list[Tensor]:
    answers = work.answers
    given = [work.hidden, answers.places, answers.aims, answers.shares]
    return given if work.image is None else [*given, work.image]
