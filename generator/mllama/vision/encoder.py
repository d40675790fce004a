"""Images through the vision encoder of an Mllama model, once per answer.

image = ImageEncoder(model, crossing, head_size=64).encode(pixels)
image.pairs[0][0]                   # (rows, key heads, tiles * patches, head size)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from generator.mllama.vision.tower import VisionTower

_MAX_BYTES = 1e9
"""Memory that images encoded together on a GPU may take in the vision encoder."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Images as the processor of an Mllama model returns them, one per row."""

    values: Tensor  # (rows, 1, tiles, channels, side, side)
    aspect_ratio_ids: Tensor  # (rows, 1)
    aspect_ratio_mask: Tensor  # (rows, 1, tiles), 1 where a tile holds a part of the image


@dataclass(frozen=True, kw_only=True)
class EncodedImage:
    """What the cross-attention layers attend to."""

    pairs: list[tuple[Tensor, Tensor]]
    """Keys and values of each cross-attention layer, (rows, key heads, tiles * patches, size)."""
    tile_mask: Tensor | None  # (rows, tiles * patches), False for padding tiles; None: no padding

    def rows(self, rows: Tensor) -> Self:
        """The same of these rows alone."""
        mask = self.tile_mask
        return type(self)(
            pairs=[(keys[rows], values[rows]) for keys, values in self.pairs],
            tile_mask=None if mask is None else mask[rows],
        )


class ImageEncoder:
    """The vision encoder, the projector and the key and value projections of cross-attention."""

    def __init__(self, model: Any, crossing: Sequence[Any], *, head_size: int) -> None:
        """``crossing`` holds the cross-attention modules of ``model``, in their order."""
        self._model = model
        self._tower = VisionTower(model.model.vision_model, model.config.vision_config)
        self._crossing = crossing
        self._head_size = head_size
        weight: Tensor = model.model.language_model.embed_tokens.weight
        self._device, self._itemsize = weight.device, weight.itemsize

    @torch.inference_mode()
    def encode(self, pixels: Pixels) -> EncodedImage:
        """One `EncodedImage` for all rows."""
        tiles = pixels.aspect_ratio_mask.to(self._device).bool().flatten(1)  # (rows, tiles)
        together = self._batch_size(tiles.shape[1])
        starts = range(0, len(tiles), together)
        states = torch.cat([self._project(pixels, slice(s, s + together)) for s in starts])
        return EncodedImage(
            pairs=[
                (cross.k_norm(self._split(cross.k_proj(states))), self._split(cross.v_proj(states)))
                for cross in self._crossing
            ],
            tile_mask=None
            if tiles.all()
            else tiles.repeat_interleave(states.shape[1] // tiles.shape[1], dim=1),
        )

    def _project(self, pixels: Pixels, rows: slice) -> Tensor:
        """Some images in the width of the text model, (rows, tiles * patches, text width)."""
        states = self._tower.encode(
            pixels.values[rows, 0].to(self._device),
            pixels.aspect_ratio_ids[rows, 0].to(self._device),
            pixels.aspect_ratio_mask[rows, 0].to(self._device),
        )
        projected: Tensor = self._model.model.multi_modal_projector(states)
        return projected.flatten(1, 2)

    def _batch_size(self, tiles: int) -> int:
        """How many images to encode in one pass: the vision encoder keeps the output of all of its
        layers, most of a gigabyte per image for a large model."""
        if self._device.type != "cuda":
            return 1
        vision = self._model.config.vision_config
        layers = vision.num_hidden_layers + vision.num_global_layers
        patches = (vision.image_size // vision.patch_size) ** 2 + 1
        image = layers * tiles * patches * vision.hidden_size * self._itemsize
        return max(1, int(_MAX_BYTES // image))

    def _split(self, projected: Tensor) -> Tensor:
        """(rows, tokens, heads * head size) -> (rows, heads, tokens, head size)"""
        rows, tokens, _ = projected.shape
        return projected.view(rows, tokens, -1, self._head_size).transpose(1, 2)
