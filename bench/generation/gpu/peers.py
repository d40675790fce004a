"""Products of quantized weights by other libraries, for `bench.generation.gpu_kernels`.

tinygemm (``torch.ops.aten._weight_int4pack_mm``, groups of 64 and of 128 inputs), the 4-bit product
of bitsandbytes over NF4, and weights in 8 bits by torchao. What does not run on a device says why.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from db.errors import first_line

Multiply = Callable[[Tensor], Tensor]
"""(rows, inputs) -> (rows, outputs), in bfloat16."""


def peers(
    shapes: Mapping[str, tuple[int, int]],
    rows: Sequence[int],
    seconds: Callable[[Callable[[], object]], float],
    *,
    copies: int,
    device: str = "cuda",
) -> Iterator[dict[str, Any]]:
    """One line for each weight, library and number of rows: microseconds, or why there are none.

    ``shapes`` are (outputs, inputs); ``copies`` of a weight take turns. ``most_apart`` is the
    relative difference from the product with the same quantized weight in float32.
    """
    for name, (outputs, inputs) in shapes.items():
        for peer, make in PEERS.items():
            about = {"part": "peer", "weight": name, "peer": peer}
            try:
                made = [make(outputs, inputs, device) for _ in range(copies)]
                dense, run = made[0][1], [one[0] for one in made]
                for count in rows:
                    given = torch.randn(count, inputs, device=device).bfloat16()
                    expected = given.float() @ dense.float().T
                    apart = (run[0](given).float() - expected).norm() / expected.norm()
                    taken = seconds(lambda run=run, given=given: [one(given) for one in run])
                    yield {
                        **about,
                        "rows": count,
                        "us": round(1e6 * taken / copies, 2),
                        "peer_apart": round(float(apart), 5),
                    }
            except Exception as error:  # another version, another GPU: the others are measured
                yield {**about, "error": f"{type(error).__name__}: {first_line(error)}"}


def tinygemm(group: int, outputs: int, inputs: int, device: str) -> tuple[Multiply, Tensor]:
    """The product, and the weight that it multiplies with."""
    numbers = torch.randint(0, 16, (outputs, inputs), dtype=torch.uint8, device=device)
    scales = (torch.rand(inputs // group, outputs, device=device) * 0.01 + 0.01).bfloat16()
    with_zeros = torch.stack([scales, torch.zeros_like(scales)], dim=-1)
    pairs = numbers[:, ::2] << 4 | numbers[:, 1::2]
    packed = torch.ops.aten._convert_weight_to_int4pack(pairs, 8)
    dense = (numbers.float() - 8) * scales.T.repeat_interleave(group, dim=1)

    def multiply(given: Tensor) -> Tensor:
        product: Tensor = torch.ops.aten._weight_int4pack_mm(given, packed, group, with_zeros)
        return product

    return multiply, dense.bfloat16()


def bitsandbytes_nf4(outputs: int, inputs: int, device: str) -> tuple[Multiply, Tensor]:
    import bitsandbytes
    from bitsandbytes import functional

    drawn = _drawn(outputs, inputs, device)
    packed, state = functional.quantize_4bit(
        drawn, blocksize=64, compress_statistics=True, quant_type="nf4"
    )
    dense: Tensor = functional.dequantize_4bit(packed, state)

    def multiply(given: Tensor) -> Tensor:
        product: Tensor = bitsandbytes.matmul_4bit(given, packed.t(), state)
        return product

    return multiply, dense


def torchao_8_bit(config: str, outputs: int, inputs: int, device: str) -> tuple[Multiply, Tensor]:
    from torchao import quantization

    layer = nn.Linear(inputs, outputs, bias=False, device=device, dtype=torch.bfloat16)
    layer.weight.data = _drawn(outputs, inputs, device)
    layer.requires_grad_(False)
    quantization.quantize_(layer, getattr(quantization, config)())
    weight: Any = layer.weight
    return layer, weight.dequantize()


def _drawn(outputs: int, inputs: int, device: str) -> Tensor:
    return torch.randn(outputs, inputs, device=device, dtype=torch.bfloat16) * 0.02


PEERS: dict[str, Callable[[int, int, str], tuple[Multiply, Tensor]]] = {
    "tinygemm, groups of 64": partial(tinygemm, 64),
    "tinygemm, groups of 128": partial(tinygemm, 128),
    "bitsandbytes, NF4": bitsandbytes_nf4,
    "torchao, int8": partial(torchao_8_bit, "Int8WeightOnlyConfig"),
    "torchao, fp8": partial(torchao_8_bit, "Float8WeightOnlyConfig"),
}
