"""The CUDA kernel of a few rows times a weight in NF4: compiled for GPUs that are not here, run by
a processor, and run on a GPU."""

import ctypes
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from generator.mllama.kernels.cuda import nf4_rows
from generator.mllama.kernels.cuda.nf4_rows import OutputTiles, choose_tiles, columns_of
from generator.mllama.kernels.weights import LowRank, Nf4Weight

HEADER = Path(__file__).with_name("emulated_cuda.h")
LAUNCH = """
extern "C" void run(
    int blocks, int splits, const void* inputs, const void* packed, const void* absmax,
    const void* nested, const void* offset, const void* code, const void* lower, const void* upper,
    void* out, int rows, int outputs, int width, int first, int second) {
    gridDim = {blocks, splits};
    warps.clear();
    for (int warp = 0; warp < WARPS; warp++) warps.push_back(std::make_unique<Warp>());
    for (int y = 0; y < splits; y++)
        for (int x = 0; x < blocks; x++) {
            block_barrier = std::make_unique<std::barrier<>>(32 * WARPS);
            std::vector<std::thread> threads;
            for (int thread = 0; thread < 32 * WARPS; thread++)
                threads.emplace_back([=] {
                    threadIdx = {thread, 0};
                    blockIdx = {x, y};
                    nf4_rows(
                        (const u16*)inputs, (const u8*)packed, (const u8*)absmax,
                        (const float*)nested, (const float*)offset, (const float*)code,
                        (const float*)lower, (const u16*)upper, out, rows, outputs, width, first,
                        second);
                });
            for (auto& thread : threads) thread.join();
        }
}
"""


def weight_of(outputs: int, inputs: int, device: str = "cpu") -> Nf4Weight:
    """Random bytes: every value and level occurs."""
    draw = torch.Generator().manual_seed(outputs + inputs)
    blocks = outputs * inputs // 64
    groups = -(-blocks // 256)
    levels = torch.randint(0, 256, (blocks,), dtype=torch.uint8, generator=draw)
    return Nf4Weight(
        packed=torch.randint(0, 256, (32 * blocks,), dtype=torch.uint8, generator=draw).to(device),
        absmax=levels.to(device),
        nested=(torch.rand(groups, generator=draw) * 0.02 + 0.01).to(device),
        offset=(torch.rand(groups, generator=draw) * 0.05 + 0.02).to(device),
        code=torch.linspace(-1, 1, 256).to(device),
        outputs=outputs,
        inputs=inputs,
    )


def low_rank_of(outputs: int, inputs: int, starts: tuple[int, ...], device: str) -> LowRank:
    draw = torch.Generator().manual_seed(3)
    down = torch.randn(16 * len(starts), inputs, generator=draw) * 0.1
    up = torch.randn(outputs, 16, generator=draw)
    return LowRank(
        down=down.bfloat16().to(device), up=up.bfloat16().to(device), rank=16, starts=starts
    )


def expected_of(
    inputs: Tensor, weight: Nf4Weight, low_rank: LowRank | None, inner: Tensor | None, gated: bool
) -> Tensor:
    outputs = inputs.float() @ weight.dequantized().T
    if low_rank is not None and inner is not None:
        stops = (*low_rank.starts[1:], weight.outputs)
        for part, (start, stop) in enumerate(zip(low_rank.starts, stops, strict=True)):
            given = inner[:, part * 16 : part * 16 + 16]
            outputs[:, start:stop] += given @ low_rank.up[start:stop].float().T
    if gated:
        gate, up = outputs.chunk(2, dim=-1)
        outputs = functional.silu(gate) * up
    return outputs


CASES = [
    (OutputTiles(2), 1, False, 0),
    (OutputTiles(2, ahead=True, splits=2), 3, False, 3),
    (OutputTiles(2, pairs=2), 4, False, 1),
    (OutputTiles(2, 2), 2, True, 2),
    (OutputTiles(2, 2), 5, False, 2),
    (OutputTiles(2, 2, 2), 8, True, 0),
    (OutputTiles(2), 13, False, 0),
    (OutputTiles(2, 2), 16, True, 2),
]
"""Rows, whether gate and upward projection, and parts of LoRA."""


def given(
    rows: int, parts: int, device: str
) -> tuple[Tensor, Nf4Weight, LowRank | None, Tensor | None]:
    torch.manual_seed(rows)
    weight = weight_of(64, 1024, device)
    inputs = torch.randn(rows, 1024).bfloat16().to(device)
    if not parts:
        return inputs, weight, None, None
    low_rank = low_rank_of(64, 1024, ((0,), (0, 32), (0, 32, 48))[parts - 1], device)
    return inputs, weight, low_rank, inputs.float() @ low_rank.down.float().T


def apart(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


class OnAProcessor:
    """A `Kernel` that g++ has compiled."""

    def __init__(self, folder: Path, constants: dict[str, int]) -> None:
        source, library = folder / "kernel.cpp", folder / "kernel.so"
        text = nf4_rows.source().replace("extern __shared__ __align__(128) u8 shared[];", "")
        source.write_text(f'#include "{HEADER}"\n{text}\n{LAUNCH}')
        given = [f"-D{name}={value}" for name, value in constants.items()]
        command = ["g++", "-std=c++20", "-O1", "-w", "-shared", "-fPIC", "-pthread", *given]
        subprocess.run([*command, str(source), "-o", str(library)], check=True)
        self._run = ctypes.CDLL(str(library)).run

    def __call__(
        self, grid: tuple[int, int], threads: int, shared: int, arguments: list[Any]
    ) -> None:
        assert shared <= 1 << 18
        self._run(
            *(ctypes.c_int(one) for one in grid),
            *(
                ctypes.c_int(one) if isinstance(one, int) else ctypes.c_void_p(one.data_ptr())
                for one in arguments
            ),
        )


@pytest.mark.parametrize(("tiles", "rows", "gated", "parts"), CASES)
def test_a_processor_that_runs_the_kernel_multiplies(
    tiles: OutputTiles,
    rows: int,
    gated: bool,
    parts: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @cache
    def kernel(*chosen: Any) -> OnAProcessor:
        return OnAProcessor(tmp_path, nf4_rows.constants(*chosen[:-1]))

    monkeypatch.setattr(nf4_rows, "_kernel", kernel)
    inputs, weight, low_rank, inner = given(rows, parts, "cpu")
    found = nf4_rows.multiply(inputs, weight, tiles, low_rank, inner, gated=gated)
    assert found.shape == (tiles.splits, rows, 32 if gated else 64)
    expected = expected_of(inputs, weight, low_rank, inner, gated)
    assert apart(found.float().sum(0), expected) < 0.004


@pytest.mark.gpu
@pytest.mark.parametrize(("tiles", "rows", "gated", "parts"), CASES)
def test_a_gpu_that_runs_the_kernel_multiplies(
    tiles: OutputTiles, rows: int, gated: bool, parts: int
) -> None:
    assert nf4_rows.runs(torch.device("cuda", 0))
    inputs, weight, low_rank, inner = given(rows, parts, "cuda")
    found = nf4_rows.multiply(inputs, weight, tiles, low_rank, inner, gated=gated)
    expected = expected_of(inputs, weight, low_rank, inner, gated)
    assert apart(found.float().sum(0), expected) < 0.004


@pytest.mark.parametrize("capability", [(8, 0), (9, 0)])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("rows", [1, 8, 16])
def test_the_kernel_compiles_for_a_gpu_that_is_not_here(
    capability: tuple[int, int], gated: bool, rows: int
) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    from generator.mllama.kernels.cuda.compiled import compiled

    tiles = choose_tiles(14336, 4096, rows, gated=gated)
    assert tiles is not None
    constants = nf4_rows.constants(tiles, columns_of(rows), gated, 16, 2)
    assert compiled(nf4_rows.source(), "nf4_rows", constants, capability)[:4] == b"\x7fELF"


def test_a_source_that_does_not_compile_says_where() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    from generator.mllama.kernels.cuda.compiled import CudaError, compiled

    with pytest.raises(CudaError, match=r"broken does not compile: broken\.cu\(1\)"):
        compiled("int broken(", "broken", {}, (9, 0))


@pytest.mark.parametrize(
    ("outputs", "inputs", "rows"), [(4096, 4096, 17), (24, 4096, 1), (64, 192, 1)]
)
def test_other_products_are_left_to_other_kernels(outputs: int, inputs: int, rows: int) -> None:
    assert choose_tiles(outputs, inputs, rows, gated=False) is None
    assert choose_tiles(4096, 14336, 16, gated=False) is not None
