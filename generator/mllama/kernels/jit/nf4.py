"""Triton: the values of NF4 as bitsandbytes stores it, two a byte, the first in the upper half.

The scale of a block of 64 values is ``code[absmax] * nested[block // 256] + offset[block // 256]``.
``table`` holds the 16 values as the bits of float32: in float32 they are taken from the lanes of a
warp, in bfloat16 from the bytes of registers, and from memory by Triton's interpreter.
"""

import struct

import triton
import triton.language as tl

from generator.mllama.kernels.weights import NF4_CODES

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)
"""Whether Triton's interpreter runs the kernels: it knows no assembly, and multiplies the bits of
bfloat16 in place of its values."""


def _selectors(codes):
    """The upper and the lower bytes of 16 bfloat16, four in a register."""
    bits = []
    for code in codes:
        (wide,) = struct.unpack("<I", struct.pack("<f", code))
        bits.append((wide + 0x7FFF + ((wide >> 16) & 1)) >> 16)
    registers = []
    for shift in (8, 0):
        for start in range(0, 16, 4):
            word = 0
            for place in range(4):
                word |= ((bits[start + place] >> shift) & 255) << (8 * place)
            registers.append(f"0x{word:08x}")
    return registers


def _permutation():
    h0, h1, h2, h3, l0, l1, l2, l3 = _selectors(NF4_CODES)
    lines = [
        "{", ".reg .b32 s, m, a, b, h, l;",
        "and.b32 s, $4, 0x77777777;", "shr.u32 m, $4, 1;",
        "and.b32 m, m, 0x44444444;", "or.b32 m, m, 0x32103210;",
    ]  # fmt: skip
    for pair in (0, 1):
        if pair:
            lines += ["shr.u32 s, s, 16;", "shr.u32 m, m, 16;"]
        lines += [
            f"prmt.b32 a, {h0}, {h1}, s;", f"prmt.b32 b, {h2}, {h3}, s;", "prmt.b32 h, a, b, m;",
            f"prmt.b32 a, {l0}, {l1}, s;", f"prmt.b32 b, {l2}, {l3}, s;", "prmt.b32 l, a, b, m;",
            f"prmt.b32 ${pair}, l, h, 0x7351;", f"prmt.b32 ${2 + pair}, l, h, 0x6240;",
        ]  # fmt: skip
    return "\n".join([*lines, "}"])


PERMUTATION = tl.constexpr(_permutation())
SHUFFLE = tl.constexpr("""{
.reg .b32 t;
shfl.sync.idx.b32 $4, $9, $8, 0x101f, 0xffffffff;
shr.u32 t, $8, 4;
shfl.sync.idx.b32 $0, $9, t, 0x101f, 0xffffffff;
shr.u32 t, $8, 8;
shfl.sync.idx.b32 $5, $9, t, 0x101f, 0xffffffff;
shr.u32 t, $8, 12;
shfl.sync.idx.b32 $1, $9, t, 0x101f, 0xffffffff;
shr.u32 t, $8, 16;
shfl.sync.idx.b32 $6, $9, t, 0x101f, 0xffffffff;
shr.u32 t, $8, 20;
shfl.sync.idx.b32 $2, $9, t, 0x101f, 0xffffffff;
shr.u32 t, $8, 24;
shfl.sync.idx.b32 $7, $9, t, 0x101f, 0xffffffff;
shr.u32 t, $8, 28;
shfl.sync.idx.b32 $3, $9, t, 0x101f, 0xffffffff;
}""")


@triton.jit
def lane_table(table):
    """Lane l of every warp gets the bits of ``table[l % 16]``."""
    lanes = 0
    if not INTERPRETED:
        lane = tl.inline_asm_elementwise(
            "mov.u32 $0, %laneid;", "=r,r", [tl.program_id(0)], dtype=tl.int32, is_pure=True, pack=1
        )
        lanes = tl.load(table + (lane & 15))
    return lanes


@triton.jit
def values_of(packed, table, lanes):
    """The values of the upper and of the lower halves of bytes, float32."""
    if INTERPRETED:
        bits = packed.to(tl.int32)
        first = tl.load(table + (bits >> 4)).to(tl.float32, bitcast=True)
        second = tl.load(table + (bits & 15)).to(tl.float32, bitcast=True)
    else:
        first, second = tl.inline_asm_elementwise(
            SHUFFLE,
            "=&r,=&r,=&r,=&r,=&r,=&r,=&r,=&r,r,r,r,r,r",
            [packed, lanes],
            dtype=(tl.float32, tl.float32),
            is_pure=True,
            pack=4,
        )
    return first, second


@triton.jit
def rounded_values(packed, table):
    """The same in bfloat16."""
    if INTERPRETED:
        first, second = values_of(packed, table, 0)
        first = first.to(tl.bfloat16)
        second = second.to(tl.bfloat16)
    else:
        first, second = tl.inline_asm_elementwise(
            PERMUTATION,
            "=&r,=&r,=&r,=&r,r",
            [packed],
            dtype=(tl.bfloat16, tl.bfloat16),
            is_pure=True,
            pack=4,
        )
    return first, second


@triton.jit
def scales_of(absmax, nested, offset, code, block):
    level = tl.load(code + tl.load(absmax + block).to(tl.int32))
    return level * tl.load(nested + (block >> 8)) + tl.load(offset + (block >> 8))


@triton.jit
def dequantize(
    weight, absmax, nested, offset, code, table, out,
    granules, INPUTS: tl.constexpr, STRIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """NF4 -> the type of ``out``, whose rows of INPUTS values begin STRIDE apart; BLOCK values a
    program. ``granules`` of 32 values there are in all, each within one row."""
    lanes = lane_table(table)
    granule = tl.program_id(0) * (BLOCK // 32) + tl.arange(0, BLOCK // 32)
    inside = granule < granules
    granule = tl.where(inside, granule, 0)
    place = granule.to(tl.int64)[:, None] * 16 + tl.arange(0, 16)[None, :]
    packed = tl.load(weight + place)
    scale = scales_of(absmax, nested, offset, code, granule // 2)[:, None]
    high, low = values_of(packed, table, lanes)
    values = tl.reshape(tl.join(high * scale, low * scale), [BLOCK // 32, 32])
    row = granule // (INPUTS // 32)
    column = granule % (INPUTS // 32) * 32
    where = (row.to(tl.int64) * STRIDE + column)[:, None] + tl.arange(0, 32)[None, :]
    tl.store(out + where, values.to(out.dtype.element_ty), mask=inside[:, None])
