"""How the weights of a model are quantized: chosen by device and memory, or undone.

choose_quantization("auto", 4, torch.device("cuda"), shape)        # "nf4"
model = dequantize(model, torch.float32)                           # in place
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from db.errors import TooLargeError, UserError
from db.memory import free_memory
from generator.mllama.checkpoint import UNQUANTIZED_MODULES
from generator.mllama.weights.modules import build_modules
from generator.mllama.weights.shape import MllamaShape

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig, MllamaForConditionalGeneration

Quantization = Literal["auto", "none", "nf4", "int8"]

_BYTES = {"float32": 4.0, "none": 2.0, "int8": 1.1, "nf4": 0.6}
"""Bytes per weight, without what decoding needs beside the weights."""

_NO_COMPILER = "TORCHDYNAMO_DISABLE"


def choose_quantization(
    asked: Quantization, stored: int | None, device: torch.device, shape: MllamaShape
) -> str:
    """``none``, ``nf4`` or ``int8``. Raises UserError where it cannot be had or memory is short."""
    kept = {4: "nf4", 8: "int8", None: None}[stored]
    weights = sum(weight.numel() for weight in build_modules(shape).parameters())
    if device.type == "cpu":
        if asked in ("nf4", "int8"):
            raise UserError(f"{asked} needs a GPU: use the quantization auto or none on a CPU")
        _check_memory(weights * _BYTES["float32"], free_memory(), "use a GPU or a smaller model")
        return "none"
    free, _ = torch.cuda.mem_get_info(device)
    chosen: str = asked
    if asked == "auto":
        fits = weights * _BYTES["none"] < 0.8 * free
        chosen = kept or ("none" if fits else "nf4")
    if kept and chosen not in (kept, "none"):
        raise UserError(f"the model is stored in {kept}: use the quantization {kept} or none")
    _check_memory(weights * _BYTES[chosen], free, "use nf4, a smaller model or another GPU")
    return chosen


def _check_memory(needed: float, free: int, cure: str) -> None:
    if needed > free:
        raise TooLargeError(
            f"the weights take {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB of memory are free: "
            f"{cure}"
        )


def bitsandbytes_config(quantization: str, dtype: torch.dtype) -> "BitsAndBytesConfig":
    """``nf4`` or ``int8`` for plain weights that are quantized while they are loaded."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=quantization == "nf4",
        load_in_8bit=quantization == "int8",
        llm_int8_skip_modules=list(UNQUANTIZED_MODULES) if quantization == "int8" else None,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


@contextmanager
def without_compiler() -> Iterator[None]:
    """Keep bitsandbytes from compiling functions when it is imported.

    torch would load its compiler for that, which takes seconds, and on a CPU none of these
    functions is called more than once.
    """
    before = os.environ.get(_NO_COMPILER)
    os.environ[_NO_COMPILER] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_COMPILER]
        else:
            os.environ[_NO_COMPILER] = before


def dequantize(
    model: "MllamaForConditionalGeneration", dtype: torch.dtype
) -> "MllamaForConditionalGeneration":
    """All weights in ``dtype``, also those stored plain; call it before any forward pass.

    On a CPU with AVX-512 bitsandbytes 0.50.2 gives the rows of a 4-bit matrix wrong scales where a
    row is not a whole number of blocks; the same numbers in one row are scaled correctly.
    """
    shapes: dict[str, torch.Size] = {}
    for name, module in model.named_modules():
        state = _partial_blocks(module)
        if state is not None:
            shapes[name] = state.shape
            state.shape = torch.Size([state.shape.numel()])
    plain: Any = model.dequantize(dtype)  # type: ignore[no-untyped-call]
    # how quantized files were read; saving would reverse it, and raise NotImplementedError
    plain._weight_conversions = None
    for name, shape in shapes.items():
        weight = plain.get_submodule(name).weight
        weight.data = weight.data.view(shape)
    return plain.to(dtype)  # type: ignore[no-any-return]


def _partial_blocks(module: nn.Module) -> Any:
    """The ``QuantState`` of a 4-bit layer on a CPU whose rows are not whole blocks, or None."""
    weight: Any = getattr(module, "weight", None)
    state = getattr(weight, "quant_state", None)
    if state is None or weight.device.type != "cpu" or state.shape[-1] % state.blocksize == 0:
        return None
    return state
