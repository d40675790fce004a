"""Images through the vision encoder of an Mllama model, once per answer.

image = ImageEncoder(model, crossing, head_size=64).encode(pixels)
image.pairs[0][0]                   # (rows, key heads, tiles * patches, head size)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from generator.mllama.adapter_record import TileUse
from generator.mllama.vision.tower import VisionTower
from indexer.encoder.cuda_graph import RecordedCall

_MAX_BYTES = 4e9
"""Memory that images encoded together on a GPU may take in the vision encoder, at most a quarter of
what is free."""
_RECORDED_TILES = 4
"""The most tiles in a recorded pass, which keeps its memory; of more, computing takes longer than
launching."""


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
    hidden_before: bool = False
    """Whether tokens before the image attend to nothing; otherwise to all tiles."""

    @property
    def counts(self) -> Tensor:
        """Keys of each row that tokens after the image attend to, the first of all, (rows,)."""
        if self.tile_mask is not None:
            return self.tile_mask.sum(dim=1)
        keys, _ = self.pairs[0]
        return torch.full((len(keys),), keys.shape[2], device=keys.device)

    def contiguous(self) -> Self:
        """The same, with keys and values laid out as their shapes are."""
        pairs = [(keys.contiguous(), values.contiguous()) for keys, values in self.pairs]
        return replace(self, pairs=pairs)

    def rows(self, rows: Tensor) -> Self:
        """The same of these rows alone."""
        mask = self.tile_mask
        return type(self)(
            pairs=[(keys[rows], values[rows]) for keys, values in self.pairs],
            tile_mask=None if mask is None else mask[rows],
            hidden_before=self.hidden_before,
        )

    def apart(self) -> list[Self]:
        """Each row alone, as if it had been encoded so, in memory of its own."""
        count = len(self.pairs[0][0]) if self.pairs else 1
        return [self] if count == 1 else [self._alone(row) for row in range(count)]

    def _alone(self, row: int) -> Self:
        mask = None if self.tile_mask is None else self.tile_mask[row]
        used = slice(None)
        if mask is not None and self.hidden_before:  # padding is for the others' sake
            used = slice(int(mask.sum()))
        if mask is not None and mask[used].all():
            mask = None
        return type(self)(
            pairs=[
                (keys[row, None, :, used].clone(), values[row, None, :, used].clone())
                for keys, values in self.pairs
            ],
            tile_mask=None if mask is None else mask[None, used],
            hidden_before=self.hidden_before,
        )


class ImageEncoder:
    """The vision encoder, the projector and the key and value projections of cross-attention."""

    def __init__(
        self,
        model: Any,
        crossing: Sequence[Any],
        *,
        head_size: int,
        tiles: TileUse = "all",
        records: bool = False,
    ) -> None:
        """``crossing`` holds the cross-attention modules of ``model``, in their order. With
        ``records`` few tiles at once run as a recorded CUDA graph, which takes less time than to
        launch the small kernels of an image one by one."""
        self._model = model
        self._tower = VisionTower(model.model.vision_model, model.config.vision_config)
        self._crossing = crossing
        self._head_size = head_size
        self._tiles = tiles
        self._records = records
        self._recorded: dict[tuple[int, int, bool], RecordedCall] = {}
        self._lock = Lock()
        weight: Tensor = model.model.language_model.embed_tokens.weight
        self._device, self._itemsize = weight.device, weight.itemsize

    @torch.inference_mode()
    def encode(self, pixels: Pixels) -> EncodedImage:
        """One `EncodedImage` for all rows."""
        mask = pixels.aspect_ratio_mask.flatten(1)  # (rows, tiles)
        counts = mask.sum(dim=1).tolist()
        real = self._tiles == "real"
        used = max(counts) if real else mask.shape[1]
        states: list[Tensor | None] = [None] * len(counts)
        for count in sorted(set(counts)) if real else [used]:
            places = [place for place, one in enumerate(counts) if one == count or not real]
            together = self._batch_size(count)
            for start in range(0, len(places), together):
                some = places[start : start + together]
                encoded = self._project(pixels, some, count, None if real else mask[some])
                padded = functional.pad(encoded, (0, 0, 0, 0, 0, used - count)).flatten(1, 2)
                for place, one in zip(some, padded, strict=True):
                    states[place] = one
        whole = torch.stack([one for one in states if one is not None])
        tiles = mask[:, :used].bool().to(self._device)
        return EncodedImage(
            pairs=[
                (cross.k_norm(self._split(cross.k_proj(whole))), self._split(cross.v_proj(whole)))
                for cross in self._crossing
            ],
            tile_mask=None
            if tiles.all()
            else tiles.repeat_interleave(whole.shape[1] // used, dim=1),
            hidden_before=real,
        )

    def _project(self, pixels: Pixels, rows: list[int], tiles: int, mask: Tensor | None) -> Tensor:
        """Some images in the width of the text model, (rows, tiles, patches, text width)."""
        inputs = [pixels.values[rows, 0, :tiles], pixels.aspect_ratio_ids[rows, 0]]
        if mask is not None:
            inputs.append(mask)
        inputs = [part.to(self._device) for part in inputs]
        if not self._records or len(rows) * tiles > _RECORDED_TILES:
            return self._projected(*inputs)
        key = (len(rows), tiles, mask is None)
        with self._lock:
            if key not in self._recorded:
                self._recorded[key] = RecordedCall(self._projected, inputs, what="decoding")
            return self._recorded[key](*inputs)

    def _projected(self, values: Tensor, ratio_ids: Tensor, mask: Tensor | None = None) -> Tensor:
        states = self._tower.encode(values, ratio_ids, mask)
        projected: Tensor = self._model.model.multi_modal_projector(states)
        return projected

    def _batch_size(self, tiles: int) -> int:
        """How many images to encode in one pass."""
        if self._device.type != "cuda":
            return 1
        shape = self._model.config.vision_config
        tokens = tiles * ((shape.image_size // shape.patch_size) ** 2 + 8)
        kept = len(shape.intermediate_layers_indices) + 6  # outputs, and what a layer computes
        values = tokens * (kept * shape.hidden_size + 2 * shape.intermediate_size)
        mask = 0 if self._tiles == "real" else 2 * tokens**2
        free, _ = torch.cuda.mem_get_info(self._device)
        image = (values + mask) * self._itemsize
        return max(1, int(min(_MAX_BYTES, free / 4) // image))

    def _split(self, projected: Tensor) -> Tensor:
        """(rows, tokens, heads * head size) -> (rows, heads, tokens, head size)"""
        rows, tokens, _ = projected.shape
        return projected.view(rows, tokens, -1, self._head_size).transpose(1, 2)
