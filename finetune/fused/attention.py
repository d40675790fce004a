"""Attention within a text, and to its image, without a mask.

mixed = attend_text(query, keys, values)                # (rows, tokens, heads, size)
mixed = attend_image(query, keys, values, places)

Padding stands on the right of a text, so causal attention needs no mask. In cross-attention a token
after the image attends to the tiles that hold a part of it. A token before the image attends to
all tiles, as in transformers, or to none, as in the reference implementation (``places.before``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True, kw_only=True)
class ImagePlaces:
    """Where the images of a batch are, by row."""

    image_at: Sequence[int]
    """Of each row, the place of its image token."""
    patches: Sequence[int]
    """Of each row, how many of the keys are of tiles with a part of the image; they come first."""
    before: Literal["all", "none"]
    """Which keys the tokens before the image attend to."""

    def clear_before(self, hidden: Tensor) -> Tensor:
        """Write 0 at the tokens before the image, (rows * tokens, width), in place."""
        rows = hidden.view(len(self.image_at), -1, hidden.shape[-1])
        for row, place in zip(rows, self.image_at, strict=True):
            row[:place].zero_()
        return hidden


def attend_text(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Causal; ``query`` (rows, tokens, heads, size), ``keys`` and ``values`` with the key heads."""
    return _attend(query, keys, values, causal=True)


def attend_image(query: Tensor, keys: Tensor, values: Tensor, places: ImagePlaces) -> Tensor:
    """``query`` (rows, tokens, heads, size), ``keys`` and ``values`` (rows, patches, key heads,
    size); the result as ``query``."""
    if len({*zip(places.image_at, places.patches, strict=True)}) == 1:
        return _attend_equal(query, keys, values, places, 0)
    alone = []
    for row in range(len(query)):
        here = slice(row, row + 1)
        alone.append(_attend_equal(query[here], keys[here], values[here], places, row))
    return torch.cat(alone)


def _attend_equal(
    query: Tensor, keys: Tensor, values: Tensor, places: ImagePlaces, row: int
) -> Tensor:
    """Rows whose image is at the same place and has as many patches as that of ``row``."""
    at, patches = places.image_at[row], places.patches[row]
    after = _attend(query[:, at:], keys[:, :patches], values[:, :patches], causal=False)
    if not at:
        return after
    if places.before == "none":
        before = torch.zeros_like(query[:, :at])
    else:
        before = _attend(query[:, :at], keys, values, causal=False)
    return torch.cat([before, after], dim=1)


def _attend(query: Tensor, keys: Tensor, values: Tensor, *, causal: bool) -> Tensor:
    query, keys, values = (part.transpose(1, 2) for part in (query, keys, values))
    mixed = scaled_dot_product_attention(
        query, keys, values, is_causal=causal, enable_gqa=query.shape[1] != keys.shape[1]
    )
    return mixed.transpose(1, 2)
