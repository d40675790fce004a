"""The vision encoder of Llama 3.2 Vision over the weights of a model.

tower = VisionTower(model.model.vision_model, model.config.vision_config)
states = tower.encode(values, ratio_ids, tile_mask)     # (rows, tiles, patches, width)
states = tower.states(values, ratio_ids, tile_mask)     # the same, differentiable

It takes modules of transformers, of any quantization, or those of `generator.mllama.weights`. With
all of the tiles the result is bit-equal with transformers' own forward pass.

An image may come with fewer tiles than the model has places for (``values`` with fewer tiles), and
then nothing is computed for the rest. That is another function: real patches attend to padding
tiles, in transformers as in the reference implementation, and the weights were trained that way.
So weights are run as they were trained, which `generator.mllama.adapter_record` says.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class VisionTower:
    """Runs ``vision``, whose weights it shares."""

    def __init__(self, vision: Any, shape: Any) -> None:
        self._vision = vision
        self._tiles: int = shape.max_num_tiles
        self._heads: int = shape.attention_heads
        self._width: int = shape.hidden_size
        self._inner: list[int] = list(shape.intermediate_layers_indices)

    @torch.inference_mode()
    def encode(self, values: Tensor, ratio_ids: Tensor, tile_mask: Tensor | None) -> Tensor:
        """As `states`, for inference."""
        return self.states(values, ratio_ids, tile_mask)

    def states(
        self,
        values: Tensor,
        ratio_ids: Tensor,
        tile_mask: Tensor | None,
        run: "RunLayer | None" = None,
    ) -> Tensor:
        """(rows, tiles, patches, features) of images, without the patches that are padding.

        ``values`` (rows, tiles, channels, side, side), ``ratio_ids`` (rows,), ``tile_mask``
        (rows, tiles) 1 where a tile holds a part of the image; None where every tile does, which
        attends without a mask and so in less time and memory. ``run`` calls a layer's function
        with its arguments, as ``torch.utils.checkpoint`` does.
        """
        run = run or _call
        vision, width = self._vision, self._width
        rows, tiles = values.shape[:2]
        embedded = vision.patch_embedding(values.flatten(0, 1).to(self._kind))
        hidden = embedded.flatten(2).transpose(1, 2).reshape(rows, tiles, -1, width)
        hidden = self._with_tiles(vision.pre_tile_positional_embedding, hidden, ratio_ids)
        hidden = hidden.flatten(0, 1)
        classes = vision.class_embedding.expand(rows * tiles, 1, width)
        hidden = torch.cat([classes, hidden], dim=1).reshape(rows, tiles, -1, width)
        hidden = vision.layernorm_pre(self._with_positions(hidden, ratio_ids))
        patches = hidden.shape[2]
        padding = -patches % 8
        hidden = functional.pad(hidden, (0, 0, 0, padding))
        padded = patches + padding
        where: _Where = tiles * patches
        order = _Order(tiles, patches, behind=tile_mask is None)
        if tile_mask is not None:
            where = self._mask(tile_mask, patches, padded)
        hidden = order.tokens(hidden)
        inner = []
        for number, layer in enumerate(vision.transformer.layers):
            hidden = run(self._layer, layer, hidden, where)
            if number in self._inner:
                inner.append(hidden)
        hidden = order.tiles(vision.layernorm_post(hidden))
        hidden = self._with_tiles(vision.post_tile_positional_embedding, hidden, ratio_ids)
        hidden = order.tokens(hidden)
        for layer in vision.global_transformer.layers:
            hidden = run(self._layer, layer, hidden, where)
        parts = (order.patches(hidden), order.patches(torch.stack(inner, dim=-1).flatten(2)))
        return torch.cat(parts, dim=-1)

    @property
    def _kind(self) -> torch.dtype:
        kind: torch.dtype = self._vision.patch_embedding.weight.dtype
        return kind

    def _with_tiles(self, embedding: Any, hidden: Tensor, ratio_ids: Tensor) -> Tensor:
        """Add what is learned of each tile's place."""
        places = embedding.embedding(ratio_ids).reshape(-1, self._tiles, 1, self._width)
        places = places[:, : hidden.shape[1]]
        summed: Tensor = hidden + places * embedding.gate.tanh()
        return summed

    def _with_positions(self, hidden: Tensor, ratio_ids: Tensor) -> Tensor:
        """Add what is learned of each patch's place."""
        embedding = self._vision.gated_positional_embedding
        gate = embedding.gate.tanh()
        hidden = hidden + ((1 - gate) * embedding.embedding)[None, None]
        tiled = embedding.tile_embedding(ratio_ids)
        tiled = tiled.reshape(len(hidden), self._tiles, -1, self._width)[:, : hidden.shape[1]]
        summed: Tensor = hidden + gate * tiled
        return summed

    def _mask(self, tile_mask: Tensor, patches: int, padded: int) -> Tensor:
        """(rows, 1, tokens, tokens), added to scores: padding does not attend to padding."""
        real = tile_mask[:, :, None, None].to(self._kind).repeat(1, 1, padded, 1)
        real[:, :, patches:] = 0
        spare = (1 - real).flatten(1, 2)
        return (spare @ spare.transpose(-1, -2) * torch.finfo(self._kind).min)[:, None]

    def _layer(self, layer: Any, hidden: Tensor, where: "_Where") -> Tensor:
        attended = self._attend(layer.self_attn, layer.input_layernorm(hidden), where)
        gated = hasattr(layer, "gate_attn")
        if gated:
            attended = layer.gate_attn.tanh() * attended
        hidden = hidden + attended
        mlp = layer.mlp
        forward = mlp.fc2(mlp.activation_fn(mlp.fc1(layer.post_attention_layernorm(hidden))))
        if gated:
            forward = layer.gate_ffn.tanh() * forward
        summed: Tensor = hidden + forward
        return summed

    def _attend(self, attention: Any, hidden: Tensor, where: "_Where") -> Tensor:
        rows, tokens, _ = hidden.shape
        query, key, value = (
            project(hidden).view(rows, tokens, self._heads, -1).transpose(1, 2)
            for project in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        if isinstance(where, Tensor):
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=where)
            mixed = mixed.transpose(1, 2)
        else:
            mixed = _without_mask(query, key, value, where)
        output: Tensor = attention.o_proj(mixed.reshape(rows, tokens, -1))
        return output


RunLayer = Callable[..., Tensor]
"""Calls its first argument with the others."""


def _call(function: Callable[..., Tensor], *given: Any) -> Tensor:
    return function(*given)


_Where = Tensor | int
"""A mask, or how many tokens come before those that are padding."""


class _Order:
    """Patches tile by tile, or those that are padding ``behind`` those of all tiles, so that
    attention can take the one or the other kind without a copy."""

    def __init__(self, tiles: int, patches: int, *, behind: bool) -> None:
        self._tiles, self._patches, self._behind = tiles, patches, behind

    def tokens(self, hidden: Tensor) -> Tensor:
        """(rows, tokens, width) of (rows, tiles, patches with padding, width)."""
        if not self._behind:
            return hidden.flatten(1, 2)
        parts = hidden.tensor_split([self._patches], dim=2)
        return torch.cat([part.flatten(1, 2) for part in parts], dim=1)

    def tiles(self, hidden: Tensor) -> Tensor:
        """Back again."""
        if not self._behind:
            return self._split(hidden)
        parts = hidden.tensor_split([self._tiles * self._patches], dim=1)
        return torch.cat([self._split(part) for part in parts], dim=2)

    def patches(self, hidden: Tensor) -> Tensor:
        """(rows, tiles, patches, width), without padding."""
        if not self._behind:
            return self.tiles(hidden)[:, :, : self._patches]
        return self._split(hidden[:, : self._tiles * self._patches])

    def _split(self, hidden: Tensor) -> Tensor:
        return hidden.view(len(hidden), self._tiles, -1, hidden.shape[-1])


def _without_mask(query: Tensor, key: Tensor, value: Tensor, real: int) -> Tensor:
    """Attention of (rows, heads, tokens, size), (rows, tokens, heads, size), in which padding,
    behind ``real`` tokens, does not attend to padding."""
    seen = functional.scaled_dot_product_attention(query[:, :, :real], key, value)
    if query.shape[2] == real:
        return seen.transpose(1, 2)
    keys, values = key[:, :, :real], value[:, :, :real]
    rest = functional.scaled_dot_product_attention(query[:, :, real:], keys, values)
    return torch.cat([seen.transpose(1, 2), rest.transpose(1, 2)], dim=1)
