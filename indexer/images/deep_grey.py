"""Scale images of more than 8 bits per channel to 8-bit grey."""

from collections.abc import Callable

import numpy as np

from indexer.images.contrast import count_levels, stretch, to_grey
from indexer.images.radiograph import Grey

MANY_COLOURS = "several colours, unlike a radiograph: turned to grey"
"""Note on an image whose colours are more than one tint."""
_FAR_COLOUR = 24  # grey levels between a channel and what the brightness explains
_COLOURED_SHARE = 0.25

_ROWS = 256

_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R 601


def deep_grey(
    values: np.ndarray, *, transparent: int | None = None, white_is_zero: bool = False
) -> tuple[Grey, list[str]]:
    """Convert grey values (height, width), integers or floating point, and say how.

    ``transparent`` is the value of transparent pixels, which become black.
    """
    notes = [f"{8 * values.dtype.itemsize}-bit values scaled to 8 bits"]
    if values.dtype == np.uint16:
        levels = np.arange(65536, dtype=np.float64)
        counts = count_levels(values, 65536)
        indices: np.ndarray = values
    else:
        values = values.astype(np.float64)
        levels, indices, counts = np.unique(values, return_inverse=True, return_counts=True)
        indices = indices.reshape(values.shape)
    if transparent is not None:
        counts = np.where(levels == transparent, 0, counts)
        notes.append("transparent parts made black")
    table = to_grey(stretch(levels, counts))
    if white_is_zero:
        table = 255 - table
        notes.append("inverted, as the file says that zero is white")
    if transparent is not None:
        table[levels == transparent] = 0
    return table[indices], notes


def deep_colour(values: np.ndarray) -> tuple[Grey, list[str]]:
    """Convert (height, width, 2 to 4) of 16 bits: grey or colour, with or without alpha."""
    channels = values.shape[2]
    grey = values[..., 0]
    notes = []
    if channels >= 3 and any((grey != values[..., other]).any() for other in (1, 2)):
        grey = _by_blocks(lambda block: block[..., :3] @ _LUMINANCE, values)
        notes.append("colour turned to grey")
    if channels in (2, 4):
        hidden = values[..., -1] < np.iinfo(values.dtype).max
        if hidden.any():
            most = np.iinfo(values.dtype).max
            both = np.stack((grey, values[..., -1]), axis=2)
            grey = _by_blocks(lambda block: block[..., 0] * (block[..., 1] / most), both)
            notes.append("transparent parts made black")
    pixels, scaled = deep_grey(grey)
    return pixels, [*scaled, *notes]


def _by_blocks(change: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """Apply a change to blocks of rows: it makes floating point of them, four times as large."""
    changed = np.empty(values.shape[:2], values.dtype)
    for start in range(0, len(values), _ROWS):
        changed[start : start + _ROWS] = np.rint(change(values[start : start + _ROWS]))
    return changed


def colour_note(thumbnail: np.ndarray) -> str:
    """Say what colours an image has, from a thumbnail (height, width, 3) of 8 bits.

    In one tint, as of a photographed film, each channel follows from the brightness.
    """
    channels = thumbnail.reshape(-1, 3).astype(np.float64)
    brightness = channels @ _LUMINANCE / 255
    powers = np.vander(brightness, 4)  # a cubic curve for each channel
    curves = np.linalg.lstsq(powers, channels, rcond=None)[0]
    far = np.abs(channels - powers @ curves).max(axis=1) > _FAR_COLOUR
    return MANY_COLOURS if far.mean() > _COLOURED_SHARE else "colour turned to grey"
