"""Triton kernels: what a layer computes between its products.

Sums run in float32; what is written has the type of the model.
"""

import triton
import triton.language as tl

from generator.mllama.kernels.jit.products import matmul


@triton.jit
def add_norm(
    hidden, parts, factor, weight, normed, epsilon, rows,
    WIDTH: tl.constexpr, SPLITS: tl.constexpr, GATED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """``hidden += factor * parts.sum(0)``, in place; ``normed = rms_norm(hidden) * weight``.

    ``hidden`` (rows, WIDTH), ``parts`` (SPLITS, rows, WIDTH), ``factor`` (1,) where GATED.
    """
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < WIDTH
    scale = tl.load(weight + column, mask=inside, other=0).to(tl.float32)
    value = tl.load(hidden + row * WIDTH + column, mask=inside, other=0).to(tl.float32)
    if SPLITS > 0:
        added = tl.zeros([BLOCK], tl.float32)
        for split in tl.static_range(SPLITS):
            place = parts + (split * rows + row) * WIDTH + column
            added += tl.load(place, mask=inside, other=0).to(tl.float32)
        if GATED:
            added *= tl.load(factor).to(tl.float32)
        rounded = (value + added).to(hidden.dtype.element_ty)
        tl.store(hidden + row * WIDTH + column, rounded, mask=inside)
        value = rounded.to(tl.float32)
    mean = tl.sum(value * value, axis=0) / WIDTH
    wide = (value * tl.rsqrt(mean + epsilon)).to(normed.dtype.element_ty).to(tl.float32)
    tl.store(normed + row * WIDTH + column, (wide * scale).to(normed.dtype.element_ty), mask=inside)


@triton.jit
def silu_product(both, out, HALF: tl.constexpr, BLOCK: tl.constexpr):
    """``silu(gate) * up`` of (rows, 2 * HALF)."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < HALF
    gate = tl.load(both + row * 2 * HALF + column, mask=inside, other=0).to(tl.float32)
    up = tl.load(both + row * 2 * HALF + HALF + column, mask=inside, other=0).to(tl.float32)
    gate = (gate / (1.0 + tl.exp(-gate))).to(out.dtype.element_ty).to(tl.float32)
    tl.store(out + row * HALF + column, (gate * up).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _head_halves(
    parts, place, SPLITS: tl.constexpr, stride, H: tl.constexpr, mask, kind: tl.constexpr
):
    """Both halves of heads, summed over the splits and rounded as a product is."""
    first = tl.load(parts + place, mask=mask, other=0).to(tl.float32)
    second = tl.load(parts + place + H, mask=mask, other=0).to(tl.float32)
    for split in tl.static_range(1, SPLITS):
        first += tl.load(parts + split * stride + place, mask=mask, other=0).to(tl.float32)
        second += tl.load(parts + split * stride + place + H, mask=mask, other=0).to(tl.float32)
    return first.to(kind).to(tl.float32), second.to(kind).to(tl.float32)


@triton.jit
def attend(
    parts, keys, values, cos, sin, lengths, begin, slots, active, norm, mixed, maxima, sums,
    rows, key_stride, epsilon, scale,
    SELF: tl.constexpr, HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, SIZE: tl.constexpr,
    GROUP: tl.constexpr, SPLITS: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One token a row attends to a chunk of the keys of its row: partial sums of one key head.

    ``parts`` (SPLITS, rows, width): the product with the query projection, and in self-attention
    with those of keys and values. Self-attention: query and key are rotated by ``cos`` and ``sin``
    (slots, SIZE) of the row's position ``lengths + slots - begin``; the new key and value
    are written to its slot where ``active``; slots below ``lengths`` and from ``begin`` to the new
    one are attended to. Cross-attention: the query is normed; the keys below
    ``slots`` are attended to.
    ``mixed`` (rows, KEY_HEADS, chunks, GROUP, SIZE), ``maxima``, ``sums`` (rows, KEY_HEADS, chunks,
    GROUP).
    """
    H: tl.constexpr = SIZE // 2
    SHARED: tl.constexpr = HEADS // KEY_HEADS
    WIDTH: tl.constexpr = (HEADS + 2 * KEY_HEADS) * SIZE if SELF else HEADS * SIZE
    kind: tl.constexpr = keys.dtype.element_ty
    row = tl.program_id(0) // KEY_HEADS
    head = tl.program_id(0) % KEY_HEADS
    chunk = tl.program_id(1)
    member = tl.arange(0, GROUP)
    half = tl.arange(0, H)
    whole = tl.arange(0, SIZE)
    stride = rows * WIDTH
    group = (member < SHARED)[:, None]
    place = row * WIDTH + ((head * SHARED + member) * SIZE)[:, None] + half[None, :]
    first, second = _head_halves(parts, place, SPLITS, stride, H, group, kind)
    start = chunk * CHUNK
    slot = tl.load(slots + row).to(tl.int32)
    if SELF:
        length = tl.load(lengths + row).to(tl.int32)
        base = tl.load(begin).to(tl.int32)
        position = tl.maximum(length + slot - base, 0)
        turn_cos = tl.load(cos + position * SIZE + half).to(tl.float32)
        turn_sin = tl.load(sin + position * SIZE + half).to(tl.float32)
        turned = first * turn_cos[None, :] - second * turn_sin[None, :]
        second = second * turn_cos[None, :] + first * turn_sin[None, :]
        first = turned
        stop = tl.minimum(slot + 1, start + CHUNK)
    else:
        mean = (tl.sum(first * first, axis=1) + tl.sum(second * second, axis=1)) / SIZE
        factor = tl.rsqrt(mean + epsilon)[:, None]
        weight = tl.load(norm + half).to(tl.float32)
        first = (first * factor).to(kind).to(tl.float32) * weight[None, :]
        weight = tl.load(norm + H + half).to(tl.float32)
        second = (second * factor).to(kind).to(tl.float32) * weight[None, :]
        stop = tl.minimum(slot, start + CHUNK)
    first = first.to(kind)
    second = second.to(kind)
    writes = tl.load(active + row) != 0
    if not writes:
        stop = start
    line = (row * KEY_HEADS + head).to(tl.int64) * key_stride
    new_first = tl.zeros([H], tl.float32)
    new_second = tl.zeros([H], tl.float32)
    new_value = tl.zeros([SIZE], tl.float32)
    if SELF:
        if (slot >= start) & (slot < start + CHUNK):
            key_place = row * WIDTH + (HEADS + head) * SIZE + half
            every = half < H
            left, right = _head_halves(parts, key_place, SPLITS, stride, H, every, kind)
            new_first = left * turn_cos - right * turn_sin
            new_second = right * turn_cos + left * turn_sin
            value_place = row * WIDTH + (HEADS + KEY_HEADS + head) * SIZE + whole
            for split in tl.static_range(SPLITS):
                new_value += tl.load(parts + split * stride + value_place).to(tl.float32)
            if writes:
                at = line + slot * SIZE
                tl.store(keys + at + half, new_first.to(kind))
                tl.store(keys + at + H + half, new_second.to(kind))
                tl.store(values + at + whole, new_value.to(kind))
    highest = tl.full([GROUP], float("-inf"), tl.float32)
    total = tl.zeros([GROUP], tl.float32)
    result = tl.zeros([GROUP, SIZE], tl.float32)
    for first_slot in range(start, stop, BLOCK):
        slot_of = first_slot + tl.arange(0, BLOCK)
        inside = slot_of < stop
        cell = line + slot_of.to(tl.int64) * SIZE
        left_key = tl.load(keys + cell[None, :] + half[:, None], mask=inside[None, :], other=0)
        right_key = tl.load(keys + cell[None, :] + H + half[:, None], mask=inside[None, :], other=0)
        held = tl.load(values + cell[:, None] + whole[None, :], mask=inside[:, None], other=0)
        if SELF:
            inside = inside & ((slot_of < length) | (slot_of >= base))
            new = slot_of == slot
            left_key = tl.where(new[None, :], new_first.to(kind)[:, None], left_key)
            right_key = tl.where(new[None, :], new_second.to(kind)[:, None], right_key)
            held = tl.where(new[:, None], new_value.to(kind)[None, :], held)
        score = tl.zeros([GROUP, BLOCK], tl.float32)
        score = matmul(first, left_key, score)
        score = matmul(second, right_key, score) * scale
        score = tl.where(inside[None, :], score, float("-inf"))
        higher = tl.maximum(highest, tl.max(score, axis=1))
        base_of = tl.where(higher == float("-inf"), 0.0, higher)
        share = tl.exp2((score - base_of[:, None]) * 1.4426950408889634)
        decay = tl.exp2((highest - base_of) * 1.4426950408889634)
        total = total * decay + tl.sum(share, axis=1)
        result = matmul(share.to(kind), held, result * decay[:, None])
        highest = higher
    chunks = tl.num_programs(1)
    place = (tl.program_id(0) * chunks + chunk) * SHARED + member
    tl.store(maxima + place, highest, mask=member < SHARED)
    tl.store(sums + place, total, mask=member < SHARED)
    tl.store(mixed + place[:, None] * SIZE + whole[None, :], result, mask=group)


@triton.jit
def combine(
    mixed, maxima, sums, out, chunks,
    HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The weighted mean of the chunks of a head, (rows, HEADS * SIZE); zeros where nothing is
    attended to. BLOCK is at least ``chunks``."""
    SHARED: tl.constexpr = HEADS // KEY_HEADS
    row = tl.program_id(0) // HEADS
    head = tl.program_id(0) % HEADS
    whole = tl.arange(0, SIZE)
    chunk = tl.arange(0, BLOCK)
    inside = chunk < chunks
    place = ((row * KEY_HEADS + head // SHARED) * chunks + chunk) * SHARED + head % SHARED
    highest = tl.load(maxima + place, mask=inside, other=float("-inf"))
    most = tl.max(highest, axis=0)
    most = tl.where(most == float("-inf"), 0.0, most)
    share = tl.exp2((highest - most) * 1.4426950408889634)
    total = tl.sum(share * tl.load(sums + place, mask=inside, other=0), axis=0)
    part = tl.load(mixed + place[:, None] * SIZE + whole[None, :], mask=inside[:, None], other=0)
    value = tl.sum(part * share[:, None], axis=0) / tl.where(total == 0, 1.0, total)
    at = out + (row * HEADS + head) * SIZE + whole
    tl.store(at, value.to(out.dtype.element_ty))


@triton.jit
def rotate(
    projected, cos, sin, width,
    HEADS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Rotate the first HEADS heads of (tokens, width) in place by ``cos`` and ``sin`` (tokens,
    SIZE), halves paired. BLOCK is at least HEADS."""
    H: tl.constexpr = SIZE // 2
    token = tl.program_id(0).to(tl.int64)
    half = tl.arange(0, H)
    head = tl.arange(0, BLOCK)[:, None]
    exists = head < HEADS
    turn_cos = tl.load(cos + token * SIZE + half).to(tl.float32)[None, :]
    turn_sin = tl.load(sin + token * SIZE + half).to(tl.float32)[None, :]
    place = projected + token * width + head * SIZE + half[None, :]
    first = tl.load(place, mask=exists, other=0).to(tl.float32)
    second = tl.load(place + H, mask=exists, other=0).to(tl.float32)
    kind: tl.constexpr = projected.dtype.element_ty
    tl.store(place, (first * turn_cos - second * turn_sin).to(kind), mask=exists)
    tl.store(place + H, (second * turn_cos + first * turn_sin).to(kind), mask=exists)
