"""Cut an image into the square tiles that Llama 3.2 Vision reads, bit-equal with transformers.

tiling = Tiling.read(folder)            # of processor_config.json or preprocessor_config.json
pixels = tiling.pixels([image, other])  # `Pixels` for the vision encoder
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from db.errors import UserError
from db.files import read_json
from generator.mllama.vision.encoder import Pixels

_BILINEAR = 2
"""Pillow's number of the one filter that is known here."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How images become tiles."""

    side: int
    """Of a tile in pixels."""
    tiles: int
    """The most of an image."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Of the channels, of values from 0 to 1."""
    scale: float = 1 / 255

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises UserError for a folder without a config, or with one of another kind."""
        stored: Mapping[str, Any] = {}
        for name in ("processor_config.json", "preprocessor_config.json"):
            if (folder / name).is_file():
                found = read_json(folder / name)
                stored = found.get("image_processor") or (found if "size" in found else {})
            if stored:
                break
        try:
            if (stored.get("resample", _BILINEAR), stored["size"]["width"]) != (
                _BILINEAR,
                stored["size"]["height"],
            ):
                raise ValueError("tiles must be square and resized bilinearly")
            return cls(
                side=int(stored["size"]["height"]),
                tiles=int(stored["max_image_tiles"]),
                mean=tuple(map(float, stored["image_mean"])),
                std=tuple(map(float, stored["image_std"])),
                scale=float(stored.get("rescale_factor", 1 / 255)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{folder} does not say how images are cut into tiles ({error!r}): name an "
                "Instruct model with all of its files"
            ) from error

    def pixels(self, images: Sequence[Image.Image]) -> Pixels:
        """One image a row; tiles that an image does not fill are zero."""
        shape = (len(images), 1, self.tiles, len(self.mean), self.side, self.side)
        values, mask = torch.zeros(shape), torch.zeros(len(images), 1, self.tiles).long()
        ids = torch.zeros(len(images), 1).long()
        for number, image in enumerate(images):
            high, wide = self._grid(image.height, image.width)
            tiles = self._cut(image, high, wide)
            values[number, 0, : len(tiles)] = tiles
            mask[number, 0, : len(tiles)] = 1
            ids[number, 0] = self._grids.index((high, wide)) + 1
        return Pixels(values=values, aspect_ratio_ids=ids, aspect_ratio_mask=mask)

    @property
    def _grids(self) -> list[tuple[int, int]]:
        """Arrangements of tiles, as (high, wide), in the order of their ids."""
        counts = range(1, self.tiles + 1)
        return [(high, wide) for high, wide in product(counts, counts) if high * wide <= self.tiles]

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        """The arrangement that enlarges least, else reduces least; of several the smallest."""
        scales = [
            min(self.side * high / height, self.side * wide / width) for high, wide in self._grids
        ]
        larger = [scale for scale in scales if scale >= 1]
        chosen = min(larger) if larger else max(scales)
        fitting = [grid for grid, scale in zip(self._grids, scales, strict=True) if scale == chosen]
        return min(fitting, key=lambda grid: grid[0] * grid[1])

    def _cut(self, image: Image.Image, high: int, wide: int) -> Tensor:
        """(tiles, channels, side, side)"""
        channels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None]
        size = self._fitted(image.height, image.width, high, wide)
        if size != (image.height, image.width):
            channels = _resized(channels, size)
        below, right = self.side * high - size[0], self.side * wide - size[1]
        whole = functional.pad(channels, (0, right, 0, below))
        cut = whole.view(-1, high, self.side, wide, self.side).permute(1, 3, 0, 2, 4)
        cut = cut.reshape(high * wide, -1, self.side, self.side).float()
        mean, std = (
            (torch.tensor(part) * (1.0 / self.scale))[:, None, None]
            for part in (self.mean, self.std)
        )
        return (cut - mean) / std

    def _fitted(self, height: int, width: int, high: int, wide: int) -> tuple[int, int]:
        """The size of the image within its tiles, at least that of one tile."""
        most = self.side * high, self.side * wide
        target_height = min(max(height, self.side), most[0])
        target_width = min(max(width, self.side), most[1])
        down, across = target_height / height, target_width / width
        if across < down:
            return min(math.floor(height * across) or 1, target_height), target_width
        return target_height, min(math.floor(width * down) or 1, target_width)


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """As torchvision resizes bytes on this processor."""
    native = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    given = image if native else image.float()
    resized = functional.interpolate(
        given, size=size, mode="bilinear", antialias=True, align_corners=False
    )
    return resized if native else resized.round().clamp(0, 255).byte()
