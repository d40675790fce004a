"""Triton kernels: few rows times a weight, in bfloat16 or in NF4 as bitsandbytes stores it.

A weight is (outputs, inputs). NF4 holds two inputs a byte, the first in the upper half; the scale
of a block of 64 inputs is ``code[absmax] * nested[block // 256] + offset[block // 256]``.
``table`` holds the 16 values of NF4 as the bits of float32.

All write (splits, rows, outputs): the sum over the splits is the product, so that all
multiprocessors read a weight of few outputs. ``GATED`` weights hold gate and up projection, and
give ``silu(gate) * up``. LoRA: ``lora_in`` (rows, PARTS * RANK) float32 is the product with its
lower matrices, ``lora_up`` (outputs, RANK) its upper ones; outputs from ``first`` and ``second`` on
belong to the second and the third part.
"""

import triton
import triton.language as tl

from generator.mllama.kernels.jit.nf4 import INTERPRETED, rounded_values


@triton.jit
def matmul(a, b, total):
    """``a @ b + total``"""
    if INTERPRETED:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, total)


@triton.jit
def _inside(n, OUTPUTS: tl.constexpr, BLOCK_N: tl.constexpr):
    """The last output in place of those after it."""
    if OUTPUTS % BLOCK_N:
        n = tl.minimum(n, OUTPUTS - 1)
    return n


@triton.jit
def _lora_in(lora_in, n, row, first, second, RANK: tl.constexpr, PARTS: tl.constexpr):
    """(outputs, RANK): what the upper matrix of LoRA of each output is multiplied with."""
    part = (n >= first).to(tl.int32) + (n >= second).to(tl.int32)
    rank = tl.arange(0, RANK)
    return tl.load(lora_in + row * (PARTS * RANK) + part[:, None] * RANK + rank[None, :])


@triton.jit
def project_down(inputs, down, out, INPUTS: tl.constexpr, BLOCK: tl.constexpr):
    """An output of a row: the product with the lower matrices of LoRA, (rows, outputs) float32."""
    output = tl.program_id(0)
    row = tl.program_id(1)
    column = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    for k in range(0, INPUTS, BLOCK):
        inside = k + column < INPUTS
        weight = tl.load(down + output * INPUTS + k + column, mask=inside, other=0)
        given = tl.load(inputs + row * INPUTS + k + column, mask=inside, other=0)
        total += weight.to(tl.float32) * given.to(tl.float32)
    tl.store(out + row * tl.num_programs(0) + output, tl.sum(total, axis=0))


@triton.jit
def _row_products(
    inputs, weight, n, start,
    INPUTS: tl.constexpr, PART: tl.constexpr, ROWS: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Four rows of products with the outputs ``n``, over PART inputs from ``start`` on."""
    sum0 = tl.zeros([BLOCK_N], tl.float32)
    sum1 = tl.zeros([BLOCK_N], tl.float32)
    sum2 = tl.zeros([BLOCK_N], tl.float32)
    sum3 = tl.zeros([BLOCK_N], tl.float32)
    column = tl.arange(0, BLOCK_K)
    for at in range(0, PART, BLOCK_K):
        k = tl.multiple_of(start + at, 64)
        place = n.to(tl.int64) * INPUTS + k
        values = tl.load(weight + place[:, None] + column[None, :]).to(tl.float32)
        given = inputs + k + column
        sum0 += tl.sum(values * tl.load(given).to(tl.float32)[None, :], axis=1)
        if ROWS > 1:
            sum1 += tl.sum(values * tl.load(given + INPUTS).to(tl.float32)[None, :], axis=1)
        if ROWS > 2:
            sum2 += tl.sum(values * tl.load(given + 2 * INPUTS).to(tl.float32)[None, :], axis=1)
        if ROWS > 3:
            sum3 += tl.sum(values * tl.load(given + 3 * INPUTS).to(tl.float32)[None, :], axis=1)
    return sum0, sum1, sum2, sum3


@triton.jit
def _add_lora_row(
    value, up, lora_in, n, row, first, second, RANK: tl.constexpr, PARTS: tl.constexpr
):
    if RANK > 0:
        inner = _lora_in(lora_in, n, row, first, second, RANK, PARTS)
        value += tl.sum(up.to(tl.float32) * inner, axis=1)
    return value


@triton.jit
def gemv(
    inputs, weight, lora_in, lora_up, out, first, second,
    OUTPUTS: tl.constexpr, INPUTS: tl.constexpr, ROWS: tl.constexpr, GATED: tl.constexpr,
    RANK: tl.constexpr, PARTS: tl.constexpr, SPLITS: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """One to four rows times a plain weight, multiplied in float32."""
    split = tl.program_id(1)
    PART: tl.constexpr = INPUTS // SPLITS
    HALF: tl.constexpr = OUTPUTS // 2
    start = split * PART
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    at = _inside(n, OUTPUTS, BLOCK_N)
    up = 0
    up_gate = 0
    if RANK > 0:  # begun before the product, which it is added to
        rank = tl.arange(0, RANK)
        up = tl.load(lora_up + at[:, None] * RANK + rank[None, :])
        if GATED:
            up_gate = tl.load(lora_up + (at + HALF)[:, None] * RANK + rank[None, :])
    s0, s1, s2, s3 = _row_products(inputs, weight, at, start, INPUTS, PART, ROWS, BLOCK_N, BLOCK_K)
    if GATED:
        u0, u1, u2, u3 = _row_products(
            inputs, weight, at + HALF, start, INPUTS, PART, ROWS, BLOCK_N, BLOCK_K
        )
        for row in tl.static_range(ROWS):
            gate = s0
            above = u0
            if row == 1:
                gate = s1
                above = u1
            if row == 2:
                gate = s2
                above = u2
            if row == 3:
                gate = s3
                above = u3
            gate = _add_lora_row(gate, up, lora_in, at, row, HALF, 2 * HALF, RANK, PARTS)
            above = _add_lora_row(
                above, up_gate, lora_in, at + HALF, row, HALF, 2 * HALF, RANK, PARTS
            )
            value = gate / (1.0 + tl.exp(-gate)) * above
            tl.store(out + row * HALF + n, value.to(out.dtype.element_ty), mask=n < HALF)
    else:
        for row in tl.static_range(ROWS):
            value = s0
            if row == 1:
                value = s1
            if row == 2:
                value = s2
            if row == 3:
                value = s3
            if split == 0:
                value = _add_lora_row(value, up, lora_in, at, row, first, second, RANK, PARTS)
            place = out + (split * ROWS + row) * OUTPUTS + n
            tl.store(place, value.to(out.dtype.element_ty), mask=n < OUTPUTS)


@triton.jit
def _dot_tile(
    inputs, weight, absmax, nested, offset, code, table, n, start,
    INPUTS: tl.constexpr, PART: tl.constexpr, ROWS: tl.constexpr, NF4: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """(BLOCK_N, BLOCK_M): products of the outputs ``n`` over PART inputs from ``start`` on.

    NF4: ``inputs`` is read as int32, and so is ``absmax``, of four blocks at once.
    """
    m = tl.arange(0, BLOCK_M)
    total = tl.zeros([BLOCK_N, BLOCK_M], tl.float32)
    HALF: tl.constexpr = INPUTS // 2
    if NF4:
        byte = tl.arange(0, 32)
        for at in tl.range(0, PART, 256, num_stages=STAGES):
            k = tl.multiple_of(start + at, 256)
            four = tl.load(absmax + n * (INPUTS // 256) + k // 256)
            group = (n * (INPUTS // 64) + k // 64) >> 8
            wide = tl.load(nested + group)
            base = tl.load(offset + group)
            for part in tl.static_range(4):
                place = n.to(tl.int64) * HALF + k // 2 + 32 * part
                packed = tl.load(weight + place[:, None] + byte[None, :])
                scale = tl.load(code + ((four >> (8 * part)) & 255)) * wide + base
                both = tl.load(
                    inputs + (m * HALF + k // 2 + 32 * part)[None, :] + byte[:, None],
                    mask=(m < ROWS)[None, :], other=0,
                )  # fmt: skip
                a = (both & 0xFFFF).to(tl.int16).to(tl.bfloat16, bitcast=True)
                b = (both >> 16).to(tl.int16).to(tl.bfloat16, bitcast=True)
                high, low = rounded_values(packed, table)
                product = tl.zeros([BLOCK_N, BLOCK_M], tl.float32)
                product = matmul(high, a, product)
                product = matmul(low, b, product)
                total += product * scale[:, None]
    else:
        column = tl.arange(0, BLOCK_K)
        for at in tl.range(0, PART, BLOCK_K, num_stages=STAGES):
            k = tl.multiple_of(start + at, 64)
            values = tl.load(weight + (n.to(tl.int64) * INPUTS + k)[:, None] + column[None, :])
            given = tl.load(
                inputs + (m * INPUTS + k)[None, :] + column[:, None],
                mask=(m < ROWS)[None, :], other=0,
            )  # fmt: skip
            total = matmul(values, given, total)
    return total


@triton.jit
def _add_lora(
    total, lora_in, lora_up, n, m, part,
    ROWS: tl.constexpr, RANK: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """``part``: that of all outputs ``n``."""
    rank = tl.arange(0, RANK)
    up = tl.load(lora_up + n[:, None] * RANK + rank[None, :])
    down = tl.load(
        lora_in + (m * (PARTS * RANK) + part * RANK)[None, :] + rank[:, None],
        mask=(m < ROWS)[None, :], other=0,
    )  # fmt: skip
    return matmul(up, down.to(tl.bfloat16), total)


@triton.jit
def dot(
    inputs, weight, absmax, nested, offset, code, table, lora_in, lora_up, out, first, second,
    OUTPUTS: tl.constexpr, INPUTS: tl.constexpr, ROWS: tl.constexpr, NF4: tl.constexpr,
    GATED: tl.constexpr, RANK: tl.constexpr, PARTS: tl.constexpr, SPLITS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """Up to BLOCK_M rows through the tensor cores; parts of LoRA begin at multiples of BLOCK_N."""
    split = tl.program_id(1)
    PART: tl.constexpr = INPUTS // SPLITS
    start = split * PART
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    m = tl.arange(0, BLOCK_M)
    total = _dot_tile(
        inputs, weight, absmax, nested, offset, code, table, _inside(n, OUTPUTS, BLOCK_N), start,
        INPUTS, PART, ROWS, NF4, BLOCK_M, BLOCK_N, BLOCK_K, STAGES,
    )  # fmt: skip
    if GATED:
        HALF: tl.constexpr = OUTPUTS // 2
        up = _dot_tile(
            inputs, weight, absmax, nested, offset, code, table, n + HALF, start,
            INPUTS, PART, ROWS, NF4, BLOCK_M, BLOCK_N, BLOCK_K, STAGES,
        )  # fmt: skip
        if RANK > 0:
            total = _add_lora(total, lora_in, lora_up, n, m, 0, ROWS, RANK, PARTS)
            up = _add_lora(up, lora_in, lora_up, n + HALF, m, 1, ROWS, RANK, PARTS)
        value = total / (1.0 + tl.exp(-total)) * up
        place = out + m[None, :] * HALF + n[:, None]
        tl.store(place, value.to(out.dtype.element_ty), mask=(m < ROWS)[None, :])
    else:
        if RANK > 0:
            if split == 0:
                begin_n = tl.program_id(0) * BLOCK_N
                part = (begin_n >= first).to(tl.int32) + (begin_n >= second).to(tl.int32)
                total = _add_lora(total, lora_in, lora_up, n, m, part, ROWS, RANK, PARTS)
        place = out + (split * ROWS + m)[None, :] * OUTPUTS + n[:, None]
        inside = (m < ROWS)[None, :] & (n < OUTPUTS)[:, None]
        tl.store(place, total.to(out.dtype.element_ty), mask=inside)
