"""Products of hidden states with a weight: a kernel for few rows, cuBLAS for many.

product = Product(weight, low_rank)
product(hidden)             # (..., inputs) -> (..., outputs), any number of rows
product.parts(hidden)       # (rows, inputs) -> (splits, rows, outputs), whose sum is the product

NF4 weights of many rows are dequantized to bfloat16 first, which reads and writes them once for all
rows. LoRA is added in the same pass.
"""

import torch
import triton
from torch import Tensor
from torch.nn import functional

from generator.mllama.kernels.choices import Blocks, choose
from generator.mllama.kernels.cuda import nf4_rows
from generator.mllama.kernels.cuda.nf4_rows import OutputTiles
from generator.mllama.kernels.jit import nf4, products
from generator.mllama.kernels.norms import silu_product
from generator.mllama.kernels.weights import LowRank, Nf4Weight, PlainWeight, Weight, table

_DEQUANTIZED = 8192
"""Values a program, of eight warps: on an H200 the fastest for matrices of every size."""


class Product:
    """``inputs @ weight.T``, and with ``gated`` ``silu(gate) * up`` of its two halves."""

    def __init__(self, weight: Weight, low_rank: LowRank | None = None, *, gated: bool = False):
        self.weight, self._low_rank, self._gated = weight, low_rank, gated
        self._width = weight.outputs // 2 if gated else weight.outputs

    def __call__(self, inputs: Tensor) -> Tensor:
        rows = inputs.reshape(-1, self.weight.inputs)
        if choose(self.weight, len(rows), gated=self._gated) is None:
            outputs = self._many(rows)
            outputs = silu_product(outputs) if self._gated else outputs
        else:
            parts = self.parts(rows)
            outputs = (parts[0] if len(parts) == 1 else parts.sum(0)).to(inputs.dtype)
        return outputs.view(*inputs.shape[:-1], self._width)

    def ungated(self, inputs: Tensor) -> Tensor:
        """Both halves, (..., outputs)."""
        outputs = self._many(inputs.reshape(-1, self.weight.inputs))
        return outputs.view(*inputs.shape[:-1], self.weight.outputs)

    def parts(self, inputs: Tensor) -> Tensor:
        """(splits, rows, outputs) for ``inputs`` (rows, inputs) in bfloat16."""
        chosen = choose(self.weight, len(inputs), gated=self._gated)
        if chosen is None:
            outputs = self._many(inputs)
            return (silu_product(outputs) if self._gated else outputs)[None]
        inner = None
        if self._low_rank is not None:
            inner = projected_down(inputs, self._low_rank.down)
        return multiply(inputs, self.weight, chosen, self._low_rank, inner, gated=self._gated)

    def _many(self, inputs: Tensor) -> Tensor:
        """(rows, outputs)"""
        if isinstance(self.weight, PlainWeight):
            values = self.weight.values
        else:
            values = dequantized(self.weight)
        outputs = functional.linear(inputs, values)
        if self._low_rank is not None:
            _add_low_rank(outputs, inputs, self._low_rank)
        return outputs


def dequantized(weight: Nf4Weight) -> Tensor:
    """(outputs, inputs) in bfloat16."""
    shape = (weight.outputs, weight.inputs)
    out = torch.empty(shape, dtype=torch.bfloat16, device=weight.packed.device)
    dequantize_into(weight, out)
    return out


def dequantize_into(weight: Nf4Weight, out: Tensor) -> None:
    """Write the values into ``out`` (outputs, inputs), whose rows may lie apart, in its type."""
    if out.shape != (weight.outputs, weight.inputs) or out.stride(1) != 1:
        raise ValueError(f"{tuple(out.shape)} is no place for {weight.outputs} x {weight.inputs}")
    granules = weight.packed.numel() // 16
    nf4.dequantize[(triton.cdiv(32 * granules, _DEQUANTIZED),)](
        weight.packed,
        weight.absmax,
        weight.nested,
        weight.offset,
        weight.code,
        table(out.device),
        out,
        granules,
        INPUTS=weight.inputs,
        STRIDE=out.stride(0),
        BLOCK=_DEQUANTIZED,
        num_warps=8,
    )


def projected_down(inputs: Tensor, down: Tensor) -> Tensor:
    """The product with the lower matrices of LoRA, (rows, parts * rank) float32."""
    out = inputs.new_empty((len(inputs), len(down)), dtype=torch.float32)
    products.project_down[(len(down), len(inputs))](
        inputs, down, out, INPUTS=down.shape[1], BLOCK=2048
    )
    return out


def _add_low_rank(outputs: Tensor, inputs: Tensor, low_rank: LowRank) -> None:
    """In place, part by part."""
    inner = functional.linear(inputs, low_rank.down)
    stops = (*low_rank.starts[1:], outputs.shape[1])
    for part, (start, stop) in enumerate(zip(low_rank.starts, stops, strict=True)):
        given = inner[:, part * low_rank.rank : (part + 1) * low_rank.rank]
        outputs[:, start:stop].addmm_(given, low_rank.up[start:stop].T)


def multiply(
    inputs: Tensor,
    weight: Weight,
    chosen: Blocks | OutputTiles,
    low_rank: LowRank | None,
    inner: Tensor | None,
    *,
    gated: bool,
) -> Tensor:
    """(splits, rows, outputs) by one of `jit.products` or by `cuda.nf4_rows`; ``inner`` is
    `projected_down`."""
    if isinstance(chosen, OutputTiles):
        assert isinstance(weight, Nf4Weight)
        return nf4_rows.multiply(inputs, weight, chosen, low_rank, inner, gated=gated)
    rows, outputs = len(inputs), weight.outputs
    width = outputs // 2 if gated else outputs
    out = inputs.new_empty(
        (chosen.splits, rows, width), dtype=inputs.dtype if gated else torch.float32
    )
    given = inputs.contiguous()
    unread = table(inputs.device)  # what is not read has the types of what is
    up, lower, rank = unread, unread, 0
    starts: tuple[int, ...] = (0,)
    if low_rank is not None and inner is not None:
        up, lower, rank, starts = low_rank.up, inner, low_rank.rank, low_rank.starts
    constants = {
        "OUTPUTS": outputs,
        "INPUTS": weight.inputs,
        "ROWS": rows,
        "GATED": gated,
        "RANK": rank,
        "PARTS": len(starts),
        "SPLITS": chosen.splits,
        "BLOCK_N": chosen.block_n,
        "BLOCK_K": chosen.block_k,
        "num_warps": chosen.warps,
    }
    packed = isinstance(weight, Nf4Weight)
    read: tuple[Tensor, ...]
    if isinstance(weight, Nf4Weight):
        given = given.view(torch.int32)
        absmax = weight.absmax.view(torch.int32)
        read = (weight.packed, absmax, weight.nested, weight.offset, weight.code, unread)
    else:
        read = (weight.values, unread, unread, unread, unread, unread)
    kernel = products.gemv
    if chosen.dot:
        kernel = products.dot
        constants |= {
            "NF4": packed,
            "BLOCK_M": max(16, triton.next_power_of_2(rows)),
            "STAGES": chosen.stages,
        }
    else:
        read = read[:1]
    kernel[(triton.cdiv(width, chosen.block_n), chosen.splits)](
        given, *read, lower, up, out, *(*starts[1:], outputs, outputs)[:2], **constants
    )
    return out
