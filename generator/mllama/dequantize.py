"""Plain weights of a model that was loaded quantized, the same on every processor.

model = dequantize(model, torch.float32)       # in place
"""

from typing import Any

import torch
from torch import nn
from transformers import MllamaForConditionalGeneration


def dequantize(
    model: MllamaForConditionalGeneration, dtype: torch.dtype
) -> MllamaForConditionalGeneration:
    """All of it in ``dtype``, what was stored plain too, before any forward pass.

    On a CPU with AVX-512 bitsandbytes 0.50.2 gives the rows of a 4-bit matrix wrong scales where a
    row is not whole blocks; the same numbers in one row come out right.
    """
    shapes: dict[str, torch.Size] = {}
    for name, module in model.named_modules():
        state = _partial_blocks(module)
        if state is not None:
            shapes[name] = state.shape
            state.shape = torch.Size([state.shape.numel()])
    plain: Any = model.dequantize(dtype)  # type: ignore[no-untyped-call]
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
