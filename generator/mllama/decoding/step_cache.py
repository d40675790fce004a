"""What a decoding step of fixed shape reads and writes (`generator.mllama.kernels.step`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class StepCache:
    """The rows of a step. A row attends to the slots below its ``lengths``, and to those from
    ``begin`` to its new one."""

    keys: Sequence[Tensor]  # a self-attention layer: (rows, key heads, slots, head size)
    values: Sequence[Tensor]
    pairs: Sequence[tuple[Tensor, Tensor]]  # a cross-attention layer; none without an image
    counts: Tensor  # (rows,) tokens of the image that are attended to
    lengths: Tensor  # (rows,)
    begin: Tensor  # (1,)
    slots: Tensor  # (rows,) where the new token goes
    active: Tensor  # (rows,) bool; of other rows nothing is written, their logits mean nothing
    turns: tuple[Tensor, Tensor]  # `Step.turns`, at least as many as slots


class Step(Protocol):
    """The next token of every row, without a change of shape from step to step."""

    def turns(self, count: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the positions up to ``count``, (count, head size)."""

    def __call__(self, tokens: Tensor, cache: StepCache) -> Tensor:
        """Append ``tokens`` (rows,); the next-token logits, (rows, vocabulary) float32."""
