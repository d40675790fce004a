"""A decoding step as one CUDA graph: recorded once, then launched as a whole.

step = RecordedStep(tokens, slot=state.used)
logits = step(tokens, run)      # run(tokens, slot): the same kernels on the same tensors every time

On a GPU a step of one row is some thousand small kernels, and launching them one by one takes
several times as long as they run.
"""

import logging
import threading
from collections.abc import Callable

import torch
from torch import Tensor

from generator.mllama.checkpoint import first_line

_log = logging.getLogger(__name__)

Run = Callable[[Tensor, Tensor], Tensor]
"""From tokens (rows,) and the slot (1,) that they go to, the logits of what follows."""

_RECORDING = threading.Lock()
"""Recording begins with a wait for the whole GPU, which would spoil another recording."""


class RecordedStep:
    """The first step runs as it is, which loads what a recording cannot; the second is recorded.

    Where that fails (a layer waits for the GPU, or there is none) steps go on one by one.
    """

    def __init__(self, tokens: Tensor, slot: int) -> None:
        """``slot`` is where the next tokens go; every step goes one further."""
        self._tokens = tokens.clone()
        self._slot = torch.tensor([slot], device=tokens.device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._logits: Tensor | None = None
        self._records = True
        self._warm = False

    @property
    def recorded(self) -> bool:
        return self._graph is not None

    def __call__(self, tokens: Tensor, run: Run) -> Tensor:
        self._tokens.copy_(tokens)
        if self._warm and self._records and not self.recorded:
            self._record(run)
        if self._graph is None or self._logits is None:
            logits = run(self._tokens, self._slot)
            self._slot += 1
            self._warm = True
            return logits
        self._graph.replay()
        return self._logits.clone()

    def _record(self, run: Run) -> None:
        """Nothing is computed meanwhile."""
        try:
            graph = torch.cuda.CUDAGraph()
            # Other threads may allocate and decode meanwhile.
            with _RECORDING, torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._logits = run(self._tokens, self._slot)
                self._slot += 1
            self._graph = graph
        except RuntimeError as error:
            self._records = False
            _log.warning("decoding goes on without a CUDA graph: %s", first_line(error))
