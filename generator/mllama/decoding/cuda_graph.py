"""A decoding step as one CUDA graph, recorded once and then launched as a whole.

step = RecordedStep(tokens, slot=state.used)
logits = step(tokens, run)      # run(tokens, slot): the same kernels on the same tensors every time

On a GPU, a step of one row runs about a thousand small kernels, and launching them one by one takes
several times as long as running them.
"""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from db.errors import first_line
from indexer.encoder.cuda_graph import RECORDING

_log = logging.getLogger(__name__)

Run = Callable[[Tensor, Tensor], Tensor]
"""Map tokens (rows,) and their slot (1,) to the next-token logits."""


class RecordedStep:
    """Run the first step as it is, to load modules that a recording cannot; record the second.

    If recording fails (a layer synchronises, or there is no GPU), steps run kernel by kernel.
    """

    def __init__(self, tokens: Tensor, slot: int) -> None:
        """``slot`` is where the next tokens go; each step advances it by one."""
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
        """Capture the step; nothing is computed during the capture."""
        try:
            graph = torch.cuda.CUDAGraph()
            # Other threads may allocate and decode during the capture.
            with RECORDING, torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._logits = run(self._tokens, self._slot)
                self._slot += 1
            self._graph = graph
        except RuntimeError as error:
            self._records = False
            _log.warning("decoding continues without a CUDA graph: %s", first_line(error))
