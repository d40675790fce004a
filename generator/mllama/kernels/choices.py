"""Which kernel multiplies how many rows with a weight.

As measured on an H200 (`bench/generation/gpu_kernels.py`).
"""

from typing import NamedTuple

from generator.mllama.kernels.cuda.nf4_rows import OutputTiles, choose_tiles, runs
from generator.mllama.kernels.weights import Nf4Weight, Weight

MOST_ROWS = 32
"""More rows are left to cuBLAS."""


_PROGRAMS = 528
"""Enough to keep the multiprocessors of a large GPU busy."""


class Blocks(NamedTuple):
    """How a kernel of `jit.products` splits a product."""

    dot: bool
    """By the tensor cores; otherwise a dot product a row in float32."""
    block_n: int
    block_k: int
    splits: int = 1
    warps: int = 4
    stages: int = 4


class Chunks(NamedTuple):
    """How attention over a cache is split among programs."""

    chunk: int
    """Keys a program."""
    block: int = 64
    warps: int = 4
    stages: int = 2


def choose_chunks(heads: int, slots: int) -> Chunks:
    """``heads``: rows times key heads."""
    chunk = 64
    while chunk < 256 and heads * slots > _PROGRAMS * chunk:
        chunk *= 2
    return Chunks(chunk)


def choose(weight: Weight, rows: int, *, gated: bool) -> Blocks | OutputTiles | None:
    """None for cuBLAS."""
    width = weight.outputs // 2 if gated else weight.outputs
    if isinstance(weight, Nf4Weight):
        tiles = choose_tiles(width, weight.inputs, rows, gated=gated)
        if tiles is not None and runs(weight.packed.device):
            return tiles
        return _choose_nf4(width, weight.inputs, rows, gated=gated)
    return _choose_plain(width, weight.inputs, rows, gated=gated)


def _choose_nf4(width: int, inputs: int, rows: int, *, gated: bool) -> Blocks | None:
    if rows <= MOST_ROWS and width % 128 == 0 and inputs % 2048 == 0:
        splits = 2 * _splits(width, gated=gated) if width <= 8192 else 1
        return Blocks(True, 128 if rows <= 16 else 64, 256, splits, stages=3)
    return None


def _choose_plain(width: int, inputs: int, rows: int, *, gated: bool) -> Blocks | None:
    block = _largest(inputs, 4096)
    if rows == 1 and block >= 256:
        return Blocks(False, 1, block)
    if rows <= MOST_ROWS and width % 64 == 0 and inputs % 512 == 0:
        return Blocks(True, 64, 128, _splits(width, gated=gated))
    return None


def _splits(width: int, *, gated: bool) -> int:
    """So many that all multiprocessors have work; a gated product cannot be split."""
    if gated or width > 8192:
        return 1
    return 4 if width <= 4096 else 2


def _largest(inputs: int, most: int) -> int:
    """The largest power of two up to ``most`` that divides ``inputs``."""
    return min(inputs & -inputs, most)
