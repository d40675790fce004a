"""Weights that bitsandbytes stores in 4 bits, as a dense matrix in a buffer that is used again.

dequantize_into(linear.weight, buffer)          # (outputs, inputs), in the buffer's precision

The values are those of ``bitsandbytes.functional.dequantize_4bit``. That takes four kernels where
the scales of blocks are themselves stored in 8 bits ("double quantization"), and a new tensor each
time; on a GPU one Triton kernel does it here.
"""

from typing import Any

from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # not on every platform
    triton = None

_BYTES = 1024
"""Packed bytes per program, two values each."""


def dequantize_into(weight: Any, buffer: Tensor) -> None:
    """Write a ``Params4bit`` of bitsandbytes into ``buffer``, a contiguous matrix."""
    state = weight.quant_state
    if triton is not None and buffer.is_cuda and _fits(state):
        _launch(weight.data, state, buffer)
        return
    from bitsandbytes.functional import dequantize_4bit

    buffer.copy_(dequantize_4bit(weight.data, state).view_as(buffer))


def _fits(state: Any) -> bool:
    return bool(state.nested and state.quant_type == "nf4")


def _launch(packed: Tensor, state: Any, buffer: Tensor) -> None:
    if not buffer.is_contiguous():
        raise ValueError("a buffer for weights must be contiguous")
    count = packed.numel()
    if not (state.offset.is_cuda and state.code.is_cuda and state.state2.code.is_cuda):
        state.to(buffer.device)
    scales = state.state2
    _dequantize[(triton.cdiv(count, _BYTES),)](
        packed,
        state.code,
        state.absmax,
        scales.code,
        scales.absmax,
        state.offset,
        buffer,
        count,
        HALF=state.blocksize // 2,
        SCALES=scales.blocksize,
        BYTES=_BYTES,
    )


if triton is not None:

    @triton.jit  # type: ignore[untyped-decorator]
    def _dequantize(  # type: ignore[no-untyped-def]
        packed,
        code,
        absmax,
        scale_code,
        scale_absmax,
        offset,
        out,
        count,
        HALF: tl.constexpr,  # noqa: N803
        SCALES: tl.constexpr,  # noqa: N803
        BYTES: tl.constexpr,  # noqa: N803
    ):
        places = tl.program_id(0).to(tl.int64) * BYTES + tl.arange(0, BYTES)
        inside = places < count
        pairs = tl.load(packed + places, mask=inside, other=0).to(tl.int32)
        block = places // HALF
        level = tl.load(absmax + block, mask=inside, other=0).to(tl.int32)
        scale = tl.load(scale_code + level) * tl.load(
            scale_absmax + block // SCALES, mask=inside, other=0.0
        )
        scale += tl.load(offset)
        first = tl.load(code + (pairs >> 4)) * scale
        second = tl.load(code + (pairs & 15)) * scale
        values = tl.interleave(first, second)
        start = tl.program_id(0).to(tl.int64) * (2 * BYTES)
        targets = start + tl.arange(0, 2 * BYTES)
        tl.store(out + targets, values.to(out.dtype.element_ty), mask=targets < 2 * count)
