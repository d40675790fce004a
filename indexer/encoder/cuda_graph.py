"""Functions of tensors as CUDA graphs: recorded once, then launched as a whole.

forward = RecordedCalls(run, what="embedding")      # run(images, mean, std) -> rows
rows = forward(images, mean, std)      # recorded for each shape that comes again

Launching some hundred small kernels one by one takes the processor longer than a fast GPU takes to
run them. What is recorded gives the same bits.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from db.errors import first_line

_log = logging.getLogger(__name__)

RECORDING = threading.Lock()
"""Recording synchronises the whole GPU first, which would break another recording."""


class RecordedCall:
    """A function of tensors of fixed shape, run once, then recorded, then launched as a whole.

    If recording fails, it runs kernel by kernel.
    """

    def __init__(
        self,
        run: Callable[..., Tensor],
        inputs: Sequence[Tensor],
        *,
        what: str,
        where: Mapping[str, Any] | None = None,
    ) -> None:
        """``inputs`` are of the shapes that every call has; a warning says ``what`` goes on
        without a recording. ``where`` are arguments of ``torch.cuda.graph``: pool and stream."""
        self._run, self._what, self._where = run, what, dict(where or {})
        self._inputs = [given.clone() for given in inputs]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._output: Tensor | None = None
        self._calls = 0

    @property
    def recorded(self) -> bool:
        return self._graph is not None

    def __call__(self, *inputs: Tensor) -> Tensor:
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given)
        self._calls += 1
        if self._calls == 2:  # the first call loads modules, which a recording cannot
            self._record()
        if self._graph is None or self._output is None:
            return self._run(*self._inputs)
        self._graph.replay()
        return self._output.clone()

    def _record(self) -> None:
        try:
            graph = torch.cuda.CUDAGraph()
            recording: Any = torch.cuda.graph
            with RECORDING, recording(graph, capture_error_mode="thread_local", **self._where):
                self._output = self._run(*self._inputs)
            self._graph = graph
        except RuntimeError as error:
            _log.warning("%s continues without a CUDA graph: %s", self._what, first_line(error))


class RecordedCalls:
    """A `RecordedCall` for each shape of the inputs; from several threads, one call at a time."""

    def __init__(
        self, run: Callable[..., Tensor], *, what: str, where: Mapping[str, Any] | None = None
    ) -> None:
        """``what`` and ``where`` as for a `RecordedCall`."""
        self._run, self._what, self._where = run, what, where
        self._calls: dict[tuple[torch.Size, ...], RecordedCall] = {}
        self._lock = threading.Lock()

    def __call__(self, *inputs: Tensor) -> Tensor:
        shapes = tuple(given.shape for given in inputs)
        with self._lock:
            if shapes not in self._calls:
                self._calls[shapes] = RecordedCall(
                    self._run, inputs, what=self._what, where=self._where
                )
            return self._calls[shapes](*inputs)
