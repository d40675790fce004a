"""How grey of more than 8 bits becomes 8 bits: worked out for each value that pixels may have."""

import math

import numpy as np
import numpy.typing as npt

from indexer.images.radiograph import Grey

Fractions = npt.NDArray[np.float64]

DARKEST, BRIGHTEST = 0.001, 0.999
"""Between these quantiles deep grey is spread over 0..255: a burnt-in marker, a dead pixel or a
strip outside the collimator must not set the contrast of the lungs."""

_DARK_MEDIAN, _USUAL_MEDIAN, _BRIGHT_MEDIAN = 0.42, 0.65, 0.79
_LARGEST_EXPONENT = 5.0


def stretch(values: Fractions, counts: npt.NDArray[np.integer]) -> Fractions:
    """Where values lie between the robust percentiles of an image: 0 at the low one, 1 at the high.

    ``values`` (n,) are the values that pixels may have, ``counts`` (n,) how many have them. Values
    that are not finite lie at 0. An image whose percentiles coincide (a small bright object on an
    even ground) is spread over everything that occurs; one of a single value is 0 throughout.
    """
    finite = np.isfinite(values)
    low, high = _quantiles(values, np.where(finite, counts, 0), (DARKEST, BRIGHTEST))
    if low == high:
        low, high = _quantiles(values, np.where(finite, counts, 0), (0.0, 1.0))
    if low == high:
        return np.zeros(len(values))
    return np.clip((np.where(finite, values, low) - low) / (high - low), 0.0, 1.0)


def balance_midtones(fractions: Fractions, counts: npt.NDArray[np.integer]) -> Fractions | None:
    """The power of ``fractions`` that gives an image mid-tones as images made for viewing have
    them.

    None where they are so already. Detector values that are linear in exposure put nearly all of
    a chest into the brightest fifth of the range. The bounds hold nine in ten of the Open-I images,
    the target is their median.
    """
    (median,) = _quantiles(fractions, counts, (0.5,))
    if _DARK_MEDIAN <= median <= _BRIGHT_MEDIAN:
        return None
    exponent = math.log(_USUAL_MEDIAN) / math.log(min(max(median, 0.01), 0.99))
    return np.power(fractions, min(max(exponent, 1 / _LARGEST_EXPONENT), _LARGEST_EXPONENT))


def quantile_span(fractions: Fractions, counts: npt.NDArray[np.integer]) -> float:
    """How much of 0..1 lies between the 1st and the 99th percentile of an image."""
    low, high = _quantiles(np.clip(fractions, 0.0, 1.0), counts, (0.01, 0.99))
    return high - low


def to_grey(fractions: npt.NDArray[np.floating]) -> Grey:
    """0..1 to 0..255, rounded to the nearest; what lies outside is clipped."""
    grey: Grey = np.rint(np.clip(fractions, 0.0, 1.0) * 255).astype(np.uint8)
    return grey


def _quantiles(
    values: Fractions, counts: npt.NDArray[np.integer], shares: tuple[float, ...]
) -> list[float]:
    """The smallest values that at least these shares of all pixels do not exceed."""
    occurring = counts > 0
    values, counts = values[occurring], counts[occurring]
    if not len(values):
        return [0.0] * len(shares)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(counts[order])
    positions = np.searchsorted(reached, np.array(shares) * reached[-1])
    return [float(values[order][position]) for position in positions]
