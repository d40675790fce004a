"""Convert grey of more than 8 bits to 8 bits, by a table over all possible pixel values."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from indexer.images.radiograph import Grey

Brightness = Literal["dark", "usual", "bright"]

Fractions = npt.NDArray[np.float64]

DARKEST, BRIGHTEST = 0.001, 0.999
"""Quantiles mapped to 0 and 255, so that a burnt-in marker, a dead pixel or a strip outside the
collimator does not determine the contrast of the lungs."""

_DARK_MEDIAN, _USUAL_MEDIAN, _BRIGHT_MEDIAN = 0.42, 0.65, 0.79
_LARGEST_EXPONENT = 5.0
_SAMPLED_SIDE = 256
"""Rows and columns of which brightness is read, at least."""


_BLOCK = 4_000_000
"""Pixels that are counted at once: NumPy makes them 64-bit integers for it."""


def count_levels(
    codes: npt.NDArray[np.unsignedinteger], levels: int
) -> npt.NDArray[np.signedinteger]:
    """Count how many of the pixels (height, width) have each of the values below ``levels``."""
    counts = np.zeros(levels, np.int64)
    rows = max(1, _BLOCK // codes.shape[1])
    for start in range(0, len(codes), rows):
        counts += np.bincount(codes[start : start + rows].ravel(), minlength=levels)
    return counts


def stretch(values: Fractions, counts: npt.NDArray[np.integer]) -> Fractions:
    """Scale values between robust percentiles of an image to 0..1.

    ``values`` (n,) are the possible pixel values, ``counts`` (n,) their frequencies. Non-finite
    values become 0. If the percentiles coincide (a small bright object on an even background), the
    full range of values is used; an image with a single value becomes 0.
    """
    finite = np.isfinite(values)
    low, high = _quantiles(values, np.where(finite, counts, 0), (DARKEST, BRIGHTEST))
    if low == high:
        low, high = _quantiles(values, np.where(finite, counts, 0), (0.0, 1.0))
    if low == high:
        return np.zeros(len(values))
    return np.clip((np.where(finite, values, low) - low) / (high - low), 0.0, 1.0)


def balance_midtones(fractions: Fractions, counts: npt.NDArray[np.integer]) -> Fractions | None:
    """Raise ``fractions`` to the power that gives the mid-tones of images made for viewing.

    None if the mid-tones are usual already. Detector values that are linear in exposure put nearly
    all of a chest into the brightest fifth of the range. The bounds include nine in ten Open-I
    images; the target is their median.
    """
    (median,) = _quantiles(fractions, counts, (0.5,))
    if _DARK_MEDIAN <= median <= _BRIGHT_MEDIAN:
        return None
    exponent = math.log(_USUAL_MEDIAN) / math.log(min(max(median, 0.01), 0.99))
    return np.power(fractions, min(max(exponent, 1 / _LARGEST_EXPONENT), _LARGEST_EXPONENT))


def brightness(pixels: Grey) -> Brightness:
    """Tell whether the median of an image (height, width) is that of nine in ten chest X-rays."""
    steps = tuple(max(1, side // _SAMPLED_SIDE) for side in pixels.shape)
    median = float(np.median(pixels[:: steps[0], :: steps[1]])) / 255
    if median < _DARK_MEDIAN:
        return "dark"
    return "bright" if median > _BRIGHT_MEDIAN else "usual"


def quantile_span(fractions: Fractions, counts: npt.NDArray[np.integer]) -> float:
    """Return the distance between the 1st and 99th percentiles of an image, within 0..1."""
    low, high = _quantiles(np.clip(fractions, 0.0, 1.0), counts, (0.01, 0.99))
    return high - low


def to_grey(fractions: npt.NDArray[np.floating]) -> Grey:
    """Convert 0..1 to 0..255, rounded and clipped."""
    grey: Grey = np.rint(np.clip(fractions, 0.0, 1.0) * 255).astype(np.uint8)
    return grey


def _quantiles(
    values: Fractions, counts: npt.NDArray[np.integer], shares: tuple[float, ...]
) -> list[float]:
    """Return the smallest values that at least these shares of all pixels do not exceed."""
    occurring = counts > 0
    values, counts = values[occurring], counts[occurring]
    if not len(values):
        return [0.0] * len(shares)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(counts[order])
    positions = np.searchsorted(reached, np.array(shares) * reached[-1])
    return [float(values[order][position]) for position in positions]
