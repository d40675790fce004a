"""Attention of Mllama's vision encoder without its mask.

attend_without_mask(model)         # in place: any MllamaForConditionalGeneration, LoRA on it or not

An image usually fills fewer than four tiles, and each tile ends with a few patches of padding. The
implementation in transformers masks the padding with a 6,432 x 6,432 matrix, but PyTorch's flash
attention takes no mask. The mask encodes two rules only: real patches attend to everything, and
padding attends to real patches. (Padding does influence the result: the weights were trained that
way.) Two calls of ``scaled_dot_product_attention`` without a mask compute the same; with two of
four tiles in use they need a quarter fewer products of queries and keys. Outputs and gradients
equal those with a mask up to rounding. ``bench/training/speed.py`` times a training step: its plain
set-ups use the mask, the others do not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


def attend_without_mask(model: nn.Module) -> None:
    """Replace the attention in place, for training with one forward pass at a time.

    Prompts with several images still use the mask. Raises ValueError for a model without Mllama's
    vision encoder.
    """
    tower: Any = next((m for m in model.modules() if hasattr(m, "global_transformer")), None)
    if tower is None:
        raise ValueError(f"{type(model).__name__} has no vision tower with a global transformer")
    used = _Tiles()
    tower.register_forward_pre_hook(used.read, with_kwargs=True)
    padded = -(-tower.num_patches // 8) * 8
    for layer in (*tower.transformer.layers, *tower.global_transformer.layers):
        attention = layer.self_attn
        unmasked = _Attention(attention.forward, used, tower.num_patches, padded)
        attention.forward = MethodType(unmasked, attention)


class _Tiles:
    """How many tiles each image of the current forward pass uses; used tiles come first."""

    def __init__(self) -> None:
        self.counts: list[int] | None = None

    def read(self, tower: nn.Module, args: Any, given: dict[str, Any]) -> None:
        masks = given.get("aspect_ratio_mask")  # (rows, images, tiles)
        self.counts = None
        if masks is None or masks.shape[1] != 1:
            return
        mask = masks[:, 0].bool()
        counts = mask.sum(dim=1)
        first = torch.arange(mask.shape[1], device=mask.device) < counts[:, None]
        regular = ((mask == first).all(dim=1) & (counts > 0)).all()
        told = torch.cat([regular[None].long(), counts]).tolist()  # one wait for the GPU
        self.counts = told[1:] if told[0] else None


@dataclass(frozen=True)
class _Attention:
    """``forward`` of ``MllamaVisionAttention``."""

    masked: Callable[..., Any]
    used: _Tiles
    patches: int
    """Per tile, including the class token."""
    padded: int
    """Per tile, including padding."""

    def __call__(
        self, module: Any, hidden_states: Tensor, attention_mask: Any = None, **more: Any
    ) -> Any:
        counts = self.used.counts
        if counts is None or len(counts) != len(hidden_states):
            return self.masked(hidden_states, attention_mask=attention_mask, **more)
        shape = (len(counts), -1, self.padded, module.num_heads, module.head_dim)
        linears = (module.q_proj, module.k_proj, module.v_proj)
        projected = [linear(hidden_states).view(shape) for linear in linears]
        mixed = self._rows(counts, projected, module.scaling)
        return module.o_proj(mixed.flatten(1, 2).flatten(-2)), None

    def _rows(self, counts: Sequence[int], projected: Sequence[Tensor], scale: float) -> Tensor:
        """Group images by tile count; the result keeps the order of the rows."""
        kinds = sorted(set(counts))
        if len(kinds) == 1:
            return self._mix(kinds[0], projected, scale)
        mixed: dict[int, Tensor] = {}
        for kind in kinds:
            places = [place for place, count in enumerate(counts) if count == kind]
            done = self._mix(kind, [one[places] for one in projected], scale)
            mixed |= dict(zip(places, done, strict=True))
        return torch.stack([mixed[place] for place in range(len(counts))])

    def _mix(self, tiles: int, projected: Sequence[Tensor], scale: float) -> Tensor:
        """Queries, keys and values, and the result: (rows, tiles, patches, heads, size)."""
        query, key, value = projected
        real = slice(None), slice(None, tiles), slice(None, self.patches)
        edges = self.padded - self.patches
        seen = _attend(query[real], key, value, scale).reshape(query[real].shape)
        edge, spare = query[:, :tiles, self.patches :], query[:, tiles:]
        padding = torch.cat([edge.flatten(1, 2), spare.flatten(1, 2)], dim=1)[:, None]
        if not padding.shape[2]:
            return seen
        rest = _attend(padding, key[real], value[real], scale)
        within, beyond = rest.tensor_split([tiles * edges], dim=1)
        used = torch.cat([seen, within.reshape(edge.shape)], dim=2)
        return torch.cat([used, beyond.reshape(spare.shape)], dim=1)


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Each (rows, tiles, patches, heads, size); the result (rows, tokens, heads, size)."""
    query, key, value = (one.flatten(1, 2).transpose(1, 2) for one in (query, key, value))
    return scaled_dot_product_attention(query, key, value, scale=scale).transpose(1, 2)
