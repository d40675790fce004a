"""One to sixteen rows times a weight in NF4, by `nf4_rows.cu`.

tiles = choose_tiles(weight.outputs, weight.inputs, rows, gated=False)
parts = multiply(inputs, weight, tiles, low_rank, inner, gated=False)   # (splits, rows, outputs)
"""

from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from generator.mllama.kernels.weights import LowRank, Nf4Weight

if TYPE_CHECKING:
    from generator.mllama.kernels.cuda.compiled import Kernel

MOST_ROWS = 16
_TILE = 16
"""Outputs of a tile."""
_PAIR = 128
"""Inputs of two blocks."""
_TABLE = 256 * 128
"""Bytes of shared memory for the values of a byte, for each lane of a warp."""
_CAPABILITY = (8, 0)
"""Of GPUs that multiply bfloat16."""


class OutputTiles(NamedTuple):
    """How the kernel splits a product."""

    warps: int
    tiles: int = 1
    """Tiles of 16 outputs that a block computes."""
    pairs: int = 1
    """Pairs of blocks that a warp reads at once."""
    ahead: bool = False
    """Whether it reads the next ones while it multiplies."""
    splits: int = 1


def choose_tiles(width: int, inputs: int, rows: int, *, gated: bool) -> OutputTiles | None:
    """As measured on an H200; None for products that the kernel does not compute."""
    columns = columns_of(rows)
    if gated:
        chosen = OutputTiles(4 if columns > 1 else 8, 2, 2 if columns == 2 else 1)
    elif columns == 1:
        chosen = OutputTiles(8, ahead=True, splits=2 if inputs > 8192 else 1)
    else:
        chosen = OutputTiles(8, pairs=2 if columns == 2 else 1, ahead=columns == 2)
    whole = inputs % (2 * _PAIR * chosen.pairs * chosen.splits) == 0 and width % _TILE == 0
    return chosen if whole and rows <= MOST_ROWS else None


def columns_of(rows: int) -> int:
    """Groups of four rows that the kernel is compiled for."""
    return 1 if rows <= 4 else 2 if rows <= 8 else 4


@cache
def runs(device: torch.device) -> bool:
    """Whether the kernel compiles and runs on a device."""
    if device.type != "cuda" or find_spec("cuda") is None or torch.version.hip is not None:
        return False
    if torch.cuda.get_device_capability(device) < _CAPABILITY:
        return False
    from generator.mllama.kernels.cuda.compiled import CudaError

    try:
        _kernel(OutputTiles(8), 1, False, 0, 1, device)
    except (ImportError, CudaError, OSError, RuntimeError):
        return False
    return True


def source() -> str:
    return files(__package__).joinpath("nf4_rows.cu").read_text("utf-8")


def constants(
    tiles: OutputTiles, columns: int, gated: bool, rank: int, parts: int
) -> dict[str, int]:
    return {
        "WARPS": tiles.warps,
        "TILES": tiles.tiles,
        "COLUMNS": columns,
        "PAIRS": tiles.pairs,
        "AHEAD": int(tiles.ahead),
        "GATED": int(gated),
        "RANK": rank,
        "PARTS": parts,
    }


def shared_bytes(tiles: OutputTiles, columns: int, inputs: int) -> int:
    """The table and scales, in whose place the sums of the warps are added up."""
    scales = inputs // _PAIR // tiles.splits * tiles.tiles * 32 * 4
    sums = tiles.warps * tiles.tiles * _TILE * columns * 8 * 4
    return max(_TABLE + scales, sums)


@cache
def _kernel(
    tiles: OutputTiles, columns: int, gated: bool, rank: int, parts: int, device: torch.device
) -> "Kernel":
    from generator.mllama.kernels.cuda.compiled import Kernel

    return Kernel.of(source(), "nf4_rows", constants(tiles, columns, gated, rank, parts), device)


def multiply(
    inputs: Tensor,
    weight: Nf4Weight,
    tiles: OutputTiles,
    low_rank: LowRank | None,
    inner: Tensor | None,
    *,
    gated: bool,
) -> Tensor:
    """(splits, rows, outputs) float32, whose sum is the product; ``gated``: (1, rows, outputs / 2)
    bfloat16. ``inputs`` is (rows, inputs) in bfloat16, ``inner`` (rows, parts * rank) float32 its
    product with the lower matrices of LoRA."""
    rows, outputs = inputs.shape[0], weight.outputs
    width = outputs // 2 if gated else outputs
    kind = torch.bfloat16 if gated else torch.float32
    out = inputs.new_empty((tiles.splits, rows, width), dtype=kind)
    inputs = inputs.contiguous()
    rank = 0
    starts: tuple[int, ...] = (0,)
    lower, upper = weight.code, inputs
    if low_rank is not None and inner is not None:
        rank, starts, lower, upper = low_rank.rank, low_rank.starts, inner, low_rank.up
    first, second = (*starts[1:], outputs, outputs)[:2]
    kernel = _kernel(tiles, columns_of(rows), gated, rank, len(starts), inputs.device)
    kernel(
        (width // (_TILE if gated else _TILE * tiles.tiles), tiles.splits),
        32 * tiles.warps,
        shared_bytes(tiles, columns_of(rows), weight.inputs),
        [
            inputs, weight.packed, weight.absmax, weight.nested, weight.offset, weight.code,
            lower, upper, out, rows, outputs, weight.inputs, first, second,
        ],
    )  # fmt: skip
    return out
