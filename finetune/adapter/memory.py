"""Estimate the memory of a training run from shapes, before anything is loaded.

The weights, the adapter and the optimizer are counted exactly; activations are a rough upper bound
for a forward pass of the longest examples. Measured peaks are in docs/fine-tune.md.
"""

import re
from dataclasses import dataclass
from typing import Any

import torch

from db.errors import UserError
from finetune.adapter.backends import target_modules
from finetune.adapter.config import TrainConfig

_BYTES = {"4": 0.52, "8": 1.02}
"""Of a quantized weight, with its scales."""


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """In bytes."""

    base: int
    adapter: int
    """Weights, gradients and optimizer state."""
    activations: int
    trained: int = 0
    """Weights of the adapter, a number and not bytes."""
    parameters: int = 0
    """Weights of the base, likewise."""

    @property
    def adapter_file(self) -> int:
        return 4 * self.trained

    @property
    def checkpoint_file(self) -> int:
        """Weights and optimizer state; gradients are not stored."""
        return self.adapter - 4 * self.trained

    @property
    def total(self) -> int:
        return self.base + self.adapter + self.activations

    def weights(self) -> str:
        """The part that is known exactly, for a person."""
        return (
            f"base weights {self.base / 2**30:.2f} GB, adapter and optimizer "
            f"{self.adapter / 2**30:.2f} GB"
        )

    def __str__(self) -> str:
        parts = (self.total, self.base, self.adapter, self.activations)
        total, base, adapter, activations = (f"{part / 2**30:.2f} GB" for part in parts)
        return (
            f"about {total}: base weights {base}, adapter and optimizer {adapter}, "
            f"activations up to {activations}"
        )


def estimate_memory(
    base_config: Any, config: TrainConfig, *, tokens: int, examples: int, references: int = 0
) -> MemoryEstimate:
    """For forward passes of ``examples`` padded to ``tokens`` each, with a resolved config.

    ``references`` are frozen adapters, which are counted with the base.
    """
    from transformers import MllamaForConditionalGeneration

    with torch.device("meta"):
        model = MllamaForConditionalGeneration(base_config)
    width = 4 if config.precision == "float32" else 2
    linear = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    }
    base = 0.0
    for name, weight in model.named_parameters():
        quantized = name.removesuffix(".weight") in linear
        base += weight.numel() * (_BYTES.get(config.bits, width) if quantized else width)
    trained = sum(
        config.rank * (module.in_features + module.out_features)
        + (module.out_features if config.dora else 0)
        for name, module in linear.items()
        if re.fullmatch(target_modules(config), name)
    )
    state = 2 if config.optimizer == "adamw8bit" else 8
    return MemoryEstimate(
        base=round(base) + 4 * trained * references,
        adapter=trained * (4 + 4 + state),
        activations=_activations(base_config, config, tokens * examples, examples, width),
        trained=trained,
        parameters=sum(weight.numel() for weight in model.parameters()),
    )


def _activations(
    base_config: Any, config: TrainConfig, tokens: int, images: int, width: int
) -> int:
    text, vision = base_config.text_config, base_config.vision_config
    patches = images * vision.max_num_tiles * ((vision.image_size // vision.patch_size) ** 2 + 8)
    layer = tokens * width * (8 * text.hidden_size + 4 * text.intermediate_size)
    tile = patches * width * (8 * vision.hidden_size + 2 * vision.intermediate_size)
    text_layers = text.num_hidden_layers
    tile_layers = vision.num_hidden_layers + vision.num_global_layers
    if config.checkpointing:
        kept = tokens * width * text.hidden_size * text_layers
        kept += patches * width * vision.hidden_size * tile_layers
        return int(kept + 2 * max(layer, tile))
    return int(layer * text_layers + tile * tile_layers)


def check_memory(estimate: MemoryEstimate, free: int | None) -> None:
    """Raises UserError where ``free`` bytes of a GPU cannot even hold weights and optimizer."""
    needed = estimate.base + estimate.adapter
    if free is not None and needed > free:
        raise UserError(
            f"the GPU has {free / 2**30:.1f} GB free and the weights alone take "
            f"{needed / 2**30:.1f} GB: end what else runs on it, or use --bits 4 and a lower rank"
        )
