"""Weights as the kernels read them: plain, or NF4 in the bytes that bitsandbytes stores.

weight = Nf4Weight.of(layer)                    # a bitsandbytes Linear4bit, whose bytes it shares
whole = Nf4Weight.joined([query, key, value])   # one matrix; the layers become views of it
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor, nn

from generator.mllama.decoding.layer import adjoining

BLOCK = 64
"""Values that share a scale."""
NESTED = 256
"""Scales that share a scale of their own."""

NF4_CODES = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainWeight:
    """``values`` (outputs, inputs) in bfloat16."""

    values: Tensor

    @property
    def outputs(self) -> int:
        return self.values.shape[0]

    @property
    def inputs(self) -> int:
        return self.values.shape[1]

    @property
    def bytes(self) -> int:
        """What one product reads."""
        return self.values.nbytes

    @classmethod
    def joined(cls, weights: Sequence["PlainWeight"], layers: Sequence[nn.Module]) -> Self:
        """One matrix, of which the weights of ``layers`` become views."""
        values = _together([one.values for one in weights])
        parts = torch.split_with_sizes(values, [one.outputs for one in weights])
        for layer, part in zip(layers, parts, strict=True):
            layer.weight = nn.Parameter(part, requires_grad=False)
        return cls(values=values)


@dataclass(frozen=True, kw_only=True, eq=False)
class Nf4Weight:
    """Two inputs a byte, the first in the upper half. The scale of block b is
    ``code[absmax[b]] * nested[b // 256] + offset[b // 256]``."""

    packed: Tensor  # (outputs * inputs / 2,) uint8
    absmax: Tensor  # (outputs * inputs / 64,) uint8
    nested: Tensor  # (blocks of scales,) float32
    offset: Tensor  # the same
    code: Tensor  # (256,) float32
    outputs: int
    inputs: int

    @property
    def bytes(self) -> int:
        """What one product reads."""
        parts = (self.packed, self.absmax, self.nested, self.offset)
        return sum(part.nbytes for part in parts)

    @classmethod
    def of(cls, layer: Any) -> Self | None:
        """The weight of a ``bitsandbytes.nn.Linear4bit``; None for what the kernels do not read."""
        state = getattr(layer.weight, "quant_state", None)
        if state is None or state.quant_type != "nf4" or not state.nested:
            return None
        outputs, inputs = state.shape
        if (
            state.blocksize != BLOCK
            or state.state2.blocksize != NESTED
            or inputs % BLOCK
            or layer.bias is not None
            or not torch.equal(state.code.cpu(), torch.tensor(NF4_CODES))
        ):
            return None
        nested = state.state2.absmax.float()
        return cls(
            packed=layer.weight.data.view(-1),
            absmax=state.absmax.view(-1),
            nested=nested,
            offset=state.offset.float().expand_as(nested).contiguous(),
            code=state.state2.code.float(),
            outputs=outputs,
            inputs=inputs,
        )

    @classmethod
    def joined(cls, weights: Sequence["Nf4Weight"], layers: Sequence[Any]) -> Self | None:
        """One matrix, whose bytes the weights of ``layers`` share; None where it cannot be."""
        first = weights[0]
        if any(not torch.equal(one.code, first.code) for one in weights):
            return None
        if any(len(one.absmax) % NESTED for one in weights[:-1]):
            return None
        packed = _together([one.packed for one in weights])
        absmax = _together([one.absmax for one in weights])
        sizes = [len(one.packed) for one in weights]
        blocks = [len(one.absmax) for one in weights]
        for layer, bytes_, scales in zip(
            layers,
            torch.split_with_sizes(packed, sizes),
            torch.split_with_sizes(absmax, blocks),
            strict=True,
        ):
            layer.weight.data = bytes_.view(-1, 1)
            layer.weight.quant_state.absmax = scales
        return cls(
            packed=packed,
            absmax=absmax,
            nested=torch.cat([one.nested for one in weights]),
            offset=torch.cat([one.offset for one in weights]),
            code=first.code,
            outputs=sum(one.outputs for one in weights),
            inputs=first.inputs,
        )

    def dequantized(self) -> Tensor:
        """(outputs, inputs) float32, by operations of torch: what kernels are compared with."""
        table = torch.tensor(NF4_CODES, device=self.packed.device)
        codes = torch.stack((self.packed >> 4, self.packed & 15), dim=1).flatten().long()
        nested, offset = (
            part.repeat_interleave(NESTED)[: len(self.absmax)]
            for part in (self.nested, self.offset)
        )
        scales = self.code[self.absmax.long()] * nested + offset
        values = table[codes].view(-1, BLOCK) * scales[:, None]
        return values.view(self.outputs, self.inputs)


def _together(parts: Sequence[Tensor]) -> Tensor:
    """One tensor, which the parts may be views of already."""
    whole = adjoining(parts)
    return torch.cat(list(parts)) if whole is None else whole


Weight = PlainWeight | Nf4Weight


@dataclass(frozen=True, kw_only=True, eq=False)
class LowRank:
    """LoRA of one to three joined layers: ``outputs += up @ (down @ inputs)`` part by part."""

    down: Tensor  # (parts * rank, inputs) bfloat16
    up: Tensor  # (outputs, rank) bfloat16, scaled
    rank: int
    starts: tuple[int, ...]
    """First output of each part."""

    @property
    def parts(self) -> int:
        return len(self.starts)


@cache
def table(device: torch.device) -> Tensor:
    """The values of NF4 as the bits of float32, (16,) int32."""
    return torch.tensor(NF4_CODES, device=device).view(torch.int32)
