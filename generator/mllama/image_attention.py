"""What the vision tower of an Mllama model computes, without its mask.

attend_without_mask(model)         # in place: any MllamaForConditionalGeneration, LoRA on it or not

An image uses fewer tiles than the four that the tower has room for, and a tile ends with a few
patches of padding. The tower of transformers attends under a matrix of 6,432 x 6,432 numbers for
that, and PyTorch's flash attention takes no mask. The mask says no more than this: what is real
attends to everything, padding attends to what is real. (So padding does have a say: the weights
were trained that way.) That is two calls of ``scaled_dot_product_attention`` without a mask, and
with two of the four tiles in use a quarter fewer products of queries and keys. Equal to the result
with a mask but for rounding, forwards and backwards. ``bench/training/speed.py`` times a training
step: its plain set-ups attend under the mask, the others do without.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


def attend_without_mask(model: nn.Module) -> None:
    """For training: one forward pass at a time, for what it sees is kept until the backward pass.

    Several images in a prompt go on under the mask, as before.
    Raises ValueError for a model that has no vision tower of Mllama's.
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
    """How many tiles each image of the forward pass under way uses; they come first."""

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
    """Of a tile, the class token counted."""
    padded: int
    """The same with the padding."""

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
        """Images that use equally many tiles together, the result in their order."""
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
