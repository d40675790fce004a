"""Decoding by kernels, run by Triton's interpreter, gives the logits of plain decoding.

`test_kernels` runs this file with TRITON_INTERPRET=1, which Triton reads when it is imported. The
interpreter cuts what it rounds to bfloat16, so that differences are larger than on a GPU.
"""

import bitsandbytes
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from torch import Tensor, nn
from torch.nn import functional

from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.rows import RowDecoder, Work
from generator.mllama.decoding.slots import SlotDecoder
from generator.mllama.kernels import products
from generator.mllama.kernels.available import difference
from generator.mllama.kernels.choices import Blocks
from generator.mllama.kernels.weights import LowRank, Nf4Weight, PlainWeight, Weight
from generator.mllama.vision.encoder import EncodedImage
from tests.support.models.mllama_in_memory import mllama_in_memory

ROUNDING = 0.06
PROMPTS = [[5, 6, 40, 7, 8, 9, 10, 11, 12], [5, 6, 40, 9, 8, 13]]


def image_of(decoder: Decoder, rows: int) -> EncodedImage:
    """Keys and values of two tiles, the second of which the second row lacks."""
    draw = torch.Generator().manual_seed(1)
    shape = (rows, decoder.key_heads, 10, decoder.head_size)
    mask = torch.ones(rows, 10, dtype=torch.bool)
    mask[1:, 5:] = False
    keys, values = (torch.randn(shape, generator=draw).bfloat16() for _ in range(2))
    return EncodedImage(pairs=[(keys, values)], tile_mask=mask, hidden_before=True)


def logits_of(decoder: Decoder, *, image: bool) -> Tensor:
    """After the prompts and after each of two steps, of which the last is one row's alone."""
    rows = image_of(decoder, len(PROMPTS)) if image else None
    state, logits = decoder.prefill(PROMPTS, rows, room=4)
    every = [logits]
    every.append(decoder.decode_step(state, torch.tensor([3, 4])))
    state.keep_rows(torch.tensor([1]))
    every.append(decoder.decode_step(state, torch.tensor([21])))
    return torch.cat(every)


def apart(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize(("nf4", "rank", "image"), [(False, 0, True), (True, 4, False)])
def test_logits_are_those_of_plain_decoding(nf4: bool, rank: int, image: bool) -> None:
    """Both round to bfloat16, at different places; the plain one reads the weights that the kernels
    have joined."""
    model = mllama_in_memory(nf4=nf4, rank=rank)
    kernels = Decoder(model, records=True, kernels=True)
    assert kernels.step is not None
    found = logits_of(kernels, image=image)
    plain = Decoder(model, records=True, kernels=False)
    assert plain.step is None
    assert apart(found, logits_of(plain, image=image)) < ROUNDING
    assert nf4 or 0 < difference(kernels, plain) < ROUNDING


def test_rows_in_places_have_the_logits_of_rows_of_their_own() -> None:
    model = mllama_in_memory(nf4=True, rank=4)
    kernels = Decoder(model, records=True, kernels=True)
    image = image_of(kernels, 2)
    slots = SlotDecoder(kernels, places=3, slots=32, image_tokens=12)
    found = [steps_of(slots, [image.rows(torch.tensor([one])) for one in (0, 1)])]
    plain = Decoder(model, records=True, kernels=False)
    expected = steps_of(RowDecoder(plain), [image.rows(torch.tensor([one])) for one in (0, 1)])
    assert apart(found[0], expected) < ROUNDING


def steps_of(rows: RowDecoder, images: list[EncodedImage]) -> Tensor:
    """The second row joins after the first has begun, and goes on after it has ended."""
    first = rows.start(slots=20, image=images[0])
    every = [rows.extend([Work(first, PROMPTS[0])])]
    second = rows.start(slots=20, image=images[1])
    every.append(rows.extend([Work(second, PROMPTS[1])]))
    every.append(rows.extend([Work(first, [4]), Work(second, [17])]))
    rows.release(first)
    every.append(rows.extend([Work(second, [18])]))
    return torch.cat(every)


def weight_of(outputs: int, inputs: int, *, nf4: bool) -> Weight:
    torch.manual_seed(outputs)
    values = torch.randn(outputs, inputs) * 0.05
    if not nf4:
        return PlainWeight(values=values.bfloat16())
    layer = bitsandbytes.nn.Linear4bit(
        inputs, outputs, bias=False, quant_type="nf4", compress_statistics=True
    )
    stored = bitsandbytes.nn.Params4bit(
        values, requires_grad=False, quant_type="nf4", compress_statistics=True
    )
    layer.weight = stored._quantize("cpu")
    weight = Nf4Weight.of(layer)
    assert weight is not None
    expected = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    torch.testing.assert_close(weight.dequantized(), expected, rtol=0, atol=0)
    torch.testing.assert_close(products.dequantized(weight).float(), expected, rtol=1e-2, atol=1e-6)
    return weight


def test_values_are_written_into_rows_that_lie_apart() -> None:
    """Of a weight that is no whole number of programs."""
    weight = weight_of(72, 128, nf4=True)
    assert isinstance(weight, Nf4Weight)
    whole = torch.full((72, 144), torch.nan)
    products.dequantize_into(weight, whole[:, :128])
    assert torch.equal(whole[:, :128], weight.dequantized()) and whole[:, 128:].isnan().all()
    with pytest.raises(ValueError, match="no place for 72 x 128"):
        products.dequantize_into(weight, whole)


GEMV, SPLIT_GEMV, DOT = Blocks(False, 4, 512), Blocks(False, 4, 128, 2), Blocks(True, 64, 256, 2)


@pytest.mark.parametrize(
    ("choice", "rows", "nf4", "rank", "gated"),
    [
        (GEMV, 1, False, 16, True),
        (GEMV, 4, False, 0, True),
        (SPLIT_GEMV, 3, False, 16, False),
        (DOT, 3, True, 16, False),
        (DOT, 3, True, 0, True),
        (DOT, 3, False, 16, True),
        (DOT, 1, False, 0, False),
    ],
)
def test_products_are_those_of_torch(
    choice: Blocks, rows: int, nf4: bool, rank: int, gated: bool
) -> None:
    weight = weight_of(128, 512, nf4=nf4)
    if gated:
        choice = choice._replace(splits=1)
    inputs = torch.randn(rows, 512).bfloat16()
    values = weight.dequantized() if isinstance(weight, Nf4Weight) else weight.values.float()
    expected = inputs.float() @ values.T
    low_rank = inner = None
    if rank:
        starts = (0, 64)
        down = torch.randn(len(starts) * rank, 512).bfloat16() * 0.1
        up = torch.randn(128, rank).bfloat16()
        low_rank = LowRank(down=down, up=up, rank=rank, starts=starts)
        inner = products.projected_down(inputs, down)
        torch.testing.assert_close(inner, inputs.float() @ down.float().T, rtol=1e-3, atol=1e-3)
        for part, (start, stop) in enumerate(zip(starts, (*starts[1:], 128), strict=True)):
            given = inner[:, part * rank : (part + 1) * rank]
            expected[:, start:stop] += given @ up[start:stop].float().T
    if gated:
        expected = functional.silu(expected[:, :64]) * expected[:, 64:]
    found = products.multiply(inputs, weight, choice, low_rank, inner, gated=gated)
    assert found.shape == (choice.splits, rows, 64 if gated else 128)
    assert apart(found.float().sum(0), expected) < 0.015


def test_weights_are_joined_without_a_copy_of_those_that_are_joined() -> None:
    layers = [nn.Linear(64, size, bias=False, dtype=torch.bfloat16) for size in (32, 16)]
    weights = [PlainWeight(values=layer.weight.data) for layer in layers]
    whole = PlainWeight.joined(weights, layers).values
    assert torch.equal(whole, torch.cat([one.values for one in weights]))
    again = [PlainWeight(values=layer.weight.data) for layer in layers]
    assert PlainWeight.joined(again, layers).values.data_ptr() == whole.data_ptr()
    swapped = PlainWeight.joined(again[::-1], layers[::-1]).values
    assert torch.equal(swapped, torch.cat([one.values for one in weights[::-1]]))
