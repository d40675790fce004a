"""Scale images of more than 8 bits per channel to 8-bit grey."""

import numpy as np

from indexer.images.contrast import stretch, to_grey
from indexer.images.radiograph import Grey

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
        counts = np.bincount(values.ravel(), minlength=65536)
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
    if channels >= 3 and np.ptp(values[..., :3], axis=2).any():
        grey = np.rint(values[..., :3] @ _LUMINANCE).astype(values.dtype)
        notes.append("colour turned to grey")
    if channels in (2, 4):
        hidden = values[..., -1] < np.iinfo(values.dtype).max
        if hidden.any():
            share = values[..., -1] / np.iinfo(values.dtype).max
            grey = np.rint(grey * share).astype(values.dtype)
            notes.append("transparent parts made black")
    pixels, scaled = deep_grey(grey)
    return pixels, [*scaled, *notes]
