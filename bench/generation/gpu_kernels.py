"""Kernels of `generator.mllama.kernels` on one GPU, each way to split them, beside cuBLAS.

python -m bench.generation.gpu_kernels --out FILE               # about 60 s on an H200

- ``product``: every weight of a layer of Llama 3.2 Vision 11B, random, at 1 to 32 rows, in bfloat16
  and in NF4: microseconds by each split, those that reading the weight takes at the bandwidth of a
  copy, and the difference from a product in float32. Several copies of a weight take turns, so that
  none is in the cache, and all are launched as one recorded graph;
- ``attention``: the same for one token a row over 640 tokens of its cache, and over one tile;
- ``peer``, with ``--peers``: the same weights at 1 and 8 rows by other libraries (`gpu.peers`).

What is fastest belongs into `choices.py`. The exit code is 1 where a product is wrong.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, product
from pathlib import Path
from typing import Any

import torch
import triton
from torch import Tensor
from torch.nn import functional

from bench.generation.gpu.peers import peers
from db.errors import UserError
from db.files import write_json
from evaluation.provenance import device_name
from generator.mllama.kernels.choices import Blocks, Chunks, choose, choose_chunks
from generator.mllama.kernels.cuda.nf4_rows import MOST_ROWS, OutputTiles
from generator.mllama.kernels.jit import layers
from generator.mllama.kernels.products import multiply
from generator.mllama.kernels.weights import Nf4Weight, PlainWeight, Weight

Figures = dict[str, Any]

SHAPES = {
    "heads": (6144, 4096),
    "output": (4096, 4096),
    "gate and up": (28672, 4096),
    "down": (4096, 14336),
}
SPLITS = {"heads": (1, 2, 4), "output": (1, 2, 4, 8), "gate and up": (1,), "down": (1, 4, 7, 8)}
ROWS = (1, 2, 4, 8, 32)
PEER_ROWS = (1, 8)
COPIES = 8
HEADS, KEY_HEADS, SIZE = 32, 8, 128
WRONG = 0.02
"""Relative difference that rounding to bfloat16 does not explain."""


def plain_choices(name: str, inputs: int, rows: int) -> Iterator[Blocks | OutputTiles]:
    for splits in SPLITS[name]:
        if rows == 1 and splits <= 2:
            for block_n, block_k in ((1, 4096), (2, 4096), (4, 2048)):
                yield Blocks(False, block_n, _divisor(inputs // splits, block_k), splits)
        if rows > 1 and inputs // splits % 128 == 0 and splits != 7:
            for stages in (3, 4):
                yield Blocks(True, 64, 128, splits, stages=stages)


def nf4_choices(name: str, inputs: int, rows: int) -> Iterator[Blocks | OutputTiles]:
    for splits in SPLITS[name]:
        if rows <= MOST_ROWS:
            for warps, tiles, pairs, ahead in product((4, 8, 16), (1, 2), (1, 2), (False, True)):
                several = name == "gate and up"
                if inputs % (256 * pairs * splits) == 0 and (tiles == 2) >= several:
                    yield OutputTiles(warps, tiles, pairs, ahead, splits)
        if inputs // splits % 256 == 0:
            for block_n, warps, stages in ((64, 4, 3), (128, 4, 3), (128, 8, 3)):
                yield Blocks(True, block_n, 256, splits, warps, stages)


def _divisor(inputs: int, most: int) -> int:
    """The largest power of two up to ``most`` that divides ``inputs``."""
    return min(inputs & -inputs, most)


def products(names: Sequence[str], rows: Sequence[int], bandwidth: float) -> Iterator[Figures]:
    for name, form in product(names, ("bfloat16", "nf4")):
        outputs, inputs = SHAPES[name]
        gated = name == "gate and up"
        make = plain_weight if form == "bfloat16" else nf4_weight
        weights = [make(outputs, inputs) for _ in range(COPIES)]
        for count in rows:
            choices = plain_choices if form == "bfloat16" else nf4_choices
            yield {
                "part": "product",
                "weight": name,
                "format": form,
                "rows": count,
                "chosen": choose(weights[0], count, gated=gated),
                "limit_us": round(1e6 * weights[0].bytes / bandwidth, 2),
                **_fastest(weights, count, set(choices(name, inputs, count)), gated=gated),
            }


def _fastest(
    weights: Sequence[Weight], rows: int, choices: set[Blocks | OutputTiles], *, gated: bool
) -> Figures:
    given = torch.randn(rows, weights[0].inputs, device="cuda").bfloat16()
    values = [_dense(weight) for weight in weights]
    expected = given.float() @ values[0].float().T
    if gated:
        gate, up = expected.chunk(2, dim=-1)
        expected = functional.silu(gate) * up
    found = []
    for choice in choices:

        def run(weight: Weight, choice: Blocks | OutputTiles = choice) -> Tensor:
            return multiply(given, weight, choice, None, None, gated=gated)

        try:
            apart = (run(weights[0]).float().sum(0) - expected).norm() / expected.norm()
            taken = seconds(lambda run=run: [run(weight) for weight in weights]) / len(weights)
        except (RuntimeError, triton.TritonError) as error:  # more memory than there is
            print(f"{choice}: {str(error)[:100]}", file=sys.stderr)
            continue
        found.append((taken, choice, float(apart)))
    found.sort(key=lambda one: one[0])
    cublas = seconds(lambda: [functional.linear(given, one) for one in values]) / len(values)
    return {
        "cublas_us": round(1e6 * cublas, 2),
        "us": [[round(1e6 * taken, 2), list(choice)] for taken, choice, _ in found[:6]],
        "most_apart": round(max(apart for _, _, apart in found), 5),
    }


def attention(rows: Sequence[int]) -> Iterator[Figures]:
    for count, crossing in product(rows, (False, True)):
        slots = 1601 if crossing else 1280
        found = []
        for chunk, block, warps, stages in product((64, 128, 256), (32, 64), (2, 4), (1, 2)):
            chunks = Chunks(chunk, block, warps, stages)
            found.append((seconds(_attention(count, slots, chunks, crossing=crossing)), chunks))
        found.sort(key=lambda one: one[0])
        yield {
            "part": "attention",
            "over": "one tile" if crossing else "640 tokens",
            "rows": count,
            "chosen": choose_chunks(count * KEY_HEADS, slots),
            "us": [[round(1e6 * taken, 2), list(chunks)] for taken, chunks in found[:6]],
        }


def _attention(rows: int, slots: int, chunks: Chunks, *, crossing: bool) -> Callable[[], object]:
    shared = HEADS // KEY_HEADS
    kind = {"device": "cuda", "dtype": torch.bfloat16}
    keys, values = (torch.randn(rows, KEY_HEADS, slots, SIZE, **kind) for _ in range(2))
    width = HEADS if crossing else HEADS + 2 * KEY_HEADS
    parts = torch.randn(2, rows, width * SIZE, device="cuda")
    turns = torch.randn(slots, SIZE, **kind)
    none = torch.zeros(rows, dtype=torch.long, device="cuda")
    at = torch.full_like(none, slots if crossing else 640)
    active = torch.ones(rows, dtype=torch.uint8, device="cuda")
    count = triton.cdiv(slots, chunks.chunk)
    place = (rows, KEY_HEADS, count, shared)
    mixed = torch.empty(*place, SIZE, device="cuda")
    maxima, sums = (torch.empty(place, device="cuda") for _ in range(2))

    def run() -> None:
        layers.attend[(rows * KEY_HEADS, count)](
            parts, keys, values, turns, turns, none, none, at, active, turns,
            mixed, maxima, sums, rows, slots * SIZE, 1e-5, SIZE**-0.5,
            SELF=not crossing, HEADS=HEADS, KEY_HEADS=KEY_HEADS, SIZE=SIZE, GROUP=16, SPLITS=2,
            CHUNK=chunks.chunk, BLOCK=chunks.block, num_warps=chunks.warps,
            num_stages=chunks.stages,
        )  # fmt: skip

    return run


def plain_weight(outputs: int, inputs: int) -> PlainWeight:
    kind = {"device": "cuda", "dtype": torch.bfloat16}
    return PlainWeight(values=torch.randn(outputs, inputs, **kind) * 0.02)


def nf4_weight(outputs: int, inputs: int) -> Nf4Weight:
    def drawn(count: int) -> Tensor:
        return torch.randint(0, 256, (count,), dtype=torch.uint8, device="cuda")

    groups = outputs * inputs // 64 // 256
    return Nf4Weight(
        packed=drawn(outputs * inputs // 2),
        absmax=drawn(outputs * inputs // 64),
        nested=torch.rand(groups, device="cuda") * 0.01 + 0.01,
        offset=torch.full((groups,), 0.03, device="cuda"),
        code=torch.linspace(-1, 1, 256, device="cuda"),
        outputs=outputs,
        inputs=inputs,
    )


def _dense(weight: Weight) -> Tensor:
    if isinstance(weight, PlainWeight):
        return weight.values
    return weight.dequantized().bfloat16()


def copied_per_second() -> float:
    """Bytes read and written by a copy."""
    source = torch.empty(2**31, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: target.copy_(source))


def compile_all(names: Sequence[str], rows: Sequence[int]) -> None:
    """Fill Triton's cache on disk from all processors."""
    jobs = list(product(names, ("bfloat16", "nf4"), rows))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, (os.cpu_count() or 1) - 2), mp_context=spawn) as pool:
        list(pool.map(_compile, *zip(*jobs, strict=True)))


def _compile(name: str, form: str, rows: int) -> None:
    outputs, inputs = SHAPES[name]
    weight = (plain_weight if form == "bfloat16" else nf4_weight)(outputs, inputs)
    given = torch.randn(rows, inputs, device="cuda").bfloat16()
    choices = plain_choices if form == "bfloat16" else nf4_choices
    for choice in set(choices(name, inputs, rows)):
        try:
            multiply(given, weight, choice, None, None, gated=name == "gate and up")
        except (RuntimeError, triton.TritonError):  # said where it is measured
            continue


def seconds(run: Callable[[], object]) -> float:
    """The median of 7 launches of what ``run`` records."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    taken = []
    for _ in range(8):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        taken.append(start.elapsed_time(end) / 1e3)
    return statistics.median(taken[1:])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--weights", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--peers", action="store_true", help="other libraries too")
    parser.add_argument("--only-peers", action="store_true", help="nothing else")
    parser.add_argument("--out", type=Path, metavar="FILE", help="for the figures")
    arguments = parser.parse_args(argv)
    if not torch.cuda.is_available():
        raise UserError("kernels are measured on a GPU, and there is none here")
    if not arguments.only_peers:
        compile_all(arguments.weights, arguments.rows)
    bandwidth = copied_per_second()
    found: list[Figures] = []
    about = {"device": device_name(torch.device("cuda")), "copy_tb_s": round(bandwidth / 1e12, 3)}
    parts = []
    if not arguments.only_peers:
        parts = [products(arguments.weights, arguments.rows, bandwidth), attention(arguments.rows)]
    if arguments.peers or arguments.only_peers:
        shapes = {name: SHAPES[name] for name in arguments.weights}
        parts.append(peers(shapes, PEER_ROWS, seconds, copies=COPIES))
    for figures in chain.from_iterable(parts):
        found.append(figures | about)
        print(json.dumps(figures), flush=True)
        if arguments.out is not None:
            write_json(arguments.out, found)
    return int(any(figures.get("most_apart", 0) > WRONG for figures in found))


if __name__ == "__main__":
    sys.exit(main())
