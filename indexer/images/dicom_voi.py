"""Convert the stored values of a DICOM radiograph to grey, by PS3.3 C.11 where that is sensible.

Stored values pass through the Modality LUT or rescale, then the VOI LUT or window, then inversion
(MONOCHROME1 or PresentationLUTShape INVERSE). This is computed once
for each possible stored value (at most 65,536) and then looked up for every pixel.

The file's own LUT or window is used only if it shows the image. If it uses less than
``_MIN_SPREAD`` of the greys (washed out, as in 4 of 100 Open-I images) or makes more than
``_MAX_CLIPPED`` of the pixels plain black or white, or if there is none, the image is stretched
between robust percentiles and its mid-tones are balanced; a note says so.
"""

import math

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from indexer.images.contrast import (
    Fractions,
    balance_midtones,
    count_levels,
    quantile_span,
    stretch,
    to_grey,
)
from indexer.images.header_numbers import first_number, header_numbers, is_stated
from indexer.images.radiograph import MOST_WINDOWS, FileWindow, Grey
from indexer.images.stored_values import Stored, StoredValues

_MIN_SPREAD = 0.7
_MAX_CLIPPED = 0.5
_LONGEST_NAME = 32


def monochrome(
    stored: StoredValues, dataset: Dataset, notes: list[str], *, window: int | None = None
) -> Grey:
    """Convert stored values to grey (height, width) with dark lungs; appends to ``notes``.

    ``window``: which of the file's own windows to use, from 1, whatever it shows; one that it does
    not have counts as None.
    """
    codes, bits = stored.codes, stored.bits
    values = stored.table()
    counts = count_levels(codes, 2**bits)

    padding = _padding(values, dataset, bits)
    if 0 < counts[padding].sum() < counts.sum():
        counts = np.where(padding, 0, counts)
        notes.append("padding made black")
    else:
        padding[:] = False

    modality = _modality(values, dataset, notes)
    inverted = _is_inverted(dataset, notes)
    wanted = None if window is None else file_windows(dataset)[window - 1 : window]
    if wanted:
        own = _by_window(modality, dataset, wanted[0].centre, wanted[0].width)
        shown: Fractions | None = np.clip(own, 0.0, 1.0)
    else:
        shown = _shown(modality, counts, dataset, notes)
    fractions = stretch(modality.astype(np.float64), counts) if shown is None else shown
    if inverted:
        fractions = 1 - fractions
    balanced = balance_midtones(fractions, counts) if shown is None else None
    if balanced is not None:
        notes.append("mid-tones balanced")
        fractions = balanced
    table = to_grey(fractions)
    table[padding] = 0
    pixels: Grey = table[codes]
    return pixels


def file_windows(dataset: Dataset) -> tuple[FileWindow, ...]:
    """Return the windows of the file that can be used, under the names that it gives them.

    None for a file that is shown by a VOI LUT or in colour.
    """
    colour = int(dataset.get("SamplesPerPixel") or 1) != 1
    if colour or "VOILUTSequence" in dataset or "WindowCenter" not in dataset:
        return ()
    centres, widths = (header_numbers(dataset, f"Window{end}") for end in ("Center", "Width"))
    stated = dataset.get("WindowCenterWidthExplanation") or ()
    names = [stated] if isinstance(stated, str) else [str(one) for one in stated]
    found: list[FileWindow] = []
    for place, (centre, width) in enumerate(zip(centres, widths, strict=False)):
        if width > 0 and len(found) < MOST_WINDOWS:
            name = (
                _window_name(names[place]) if place < len(names) else ""
            ) or f"Window {place + 1}"
            if any(name == other.name for other in found):
                name = f"{name} ({place + 1})"
            found.append(FileWindow(name=name, centre=centre, width=width))
    return tuple(found)


def _window_name(text: str) -> str:
    return "".join(one for one in text if one.isascii() and one.isprintable())[:_LONGEST_NAME]


def _modality(values: Stored, dataset: Dataset, notes: list[str]) -> npt.NDArray[np.generic]:
    """Apply the Modality LUT (C.11.1), or slope and intercept; an empty one counts as 1 and 0."""
    if dataset.get("ModalityLUTSequence"):
        looked_up: npt.NDArray[np.generic] = apply_modality_lut(values, dataset)
        return looked_up
    slope, intercept = (first_number(dataset, f"Rescale{name}") for name in ("Slope", "Intercept"))
    if slope == 0 or (slope is None and is_stated(dataset, "RescaleSlope")):
        notes.append("rescale of the file not used: it is not valid")
        return values
    if slope is None and intercept is None:
        return values
    return values * (1.0 if slope is None else slope) + (intercept or 0.0)


def _padding(values: Stored, dataset: Dataset, bits: int) -> npt.NDArray[np.bool_]:
    """Mark the values that are padding (C.7.5.1.1.2): one value, or an inclusive range."""
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return np.zeros(len(values), bool)
    last = dataset.get("PixelPaddingRangeLimit")
    ends = [_as_stored(end, values, bits) for end in (first, first if last is None else last)]
    return (values >= min(ends)) & (values <= max(ends))


def _as_stored(value: int, values: Stored, bits: int) -> int:
    """Convert a padding value: some files write negative values as unsigned, or vice versa."""
    return int(values[int(value) & (2**bits - 1)])


def _shown(
    modality: npt.NDArray[np.generic], counts: Stored, dataset: Dataset, notes: list[str]
) -> Fractions | None:
    """Return the greys (0..1) by the file's own LUT or window; None if it hides the image."""
    what = "VOI LUT" if "VOILUTSequence" in dataset else "window"
    try:
        if what == "VOI LUT":
            fractions = _by_lut(modality, dataset)
        else:
            centre, width = (first_number(dataset, f"Window{end}") for end in ("Center", "Width"))
            if centre is None or width is None:
                if is_stated(dataset, "WindowCenter") and is_stated(dataset, "WindowWidth"):
                    raise ValueError("not a number")
                return None
            what = f"window ({centre:g}/{width:g})"
            fractions = _by_window(modality, dataset, centre, width)
    except Exception:  # pydicom raises almost anything on an invalid value or table
        notes.append(f"{what} of the file not used: it is not valid")
        return None
    occurring = modality[counts > 0]
    inside = (modality > occurring.min()) & (modality < occurring.max())
    clipped = counts[inside & ((fractions <= 0) | (fractions >= 1))].sum() / counts.sum()
    if clipped > _MAX_CLIPPED:
        notes.append(f"{what} of the file not used: it would hide {clipped:.0%} of the image")
        return None
    if quantile_span(fractions, counts) < _MIN_SPREAD:
        notes.append(f"{what} of the file not used: it would look washed out")
        return None
    return np.clip(fractions, 0.0, 1.0)


def _by_lut(modality: npt.NDArray[np.generic], dataset: Dataset) -> Fractions:
    """Apply the first VOI LUT (C.11.2.1.1), which may have 8 to 16 bits."""
    depth = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
    whole = np.rint(modality.astype(np.float64)).astype(np.int64)
    looked_up: Fractions = apply_voi(whole, dataset) / (2.0**depth - 1)
    return looked_up


def _by_window(
    modality: npt.NDArray[np.generic], dataset: Dataset, centre: float, width: float
) -> Fractions:
    """Apply the first window and its function (C.11.2.1.2 and C.11.2.1.3), without clipping.

    Raises ValueError for a window without width.
    """
    if not (math.isfinite(centre) and math.isfinite(width)) or width <= 0:
        raise ValueError("a window needs a width")
    values = modality.astype(np.float64)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if function == "LINEAR" and width > 1:
        return (values - (centre - 0.5)) / (width - 1) + 0.5
    return (values - centre) / width + 0.5


def _is_inverted(dataset: Dataset, notes: list[str]) -> bool:
    """Return whether the lowest value is shown as white."""
    lowest_is_white = dataset.PhotometricInterpretation == "MONOCHROME1"
    shape = dataset.get("PresentationLUTShape") or ("INVERSE" if lowest_is_white else "IDENTITY")
    if (shape == "INVERSE") != lowest_is_white:
        notes.append("header contradicts itself on which end is white: taken as inverted")
    return lowest_is_white or shape == "INVERSE"
