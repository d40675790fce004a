"""Make the pixels of a DICOM radiograph square and the patient upright, as the header states.

Spacing comes before the aspect ratio, which the standard allows only where no spacing is given
(PS3.3 C.7.6.3). PatientOrientation (C.7.6.1.1.1) names the directions of rows and columns; a
frontal image is shown with the patient's left at the right and the head at the top.

Without a calibration, the spacing of a projection radiograph is that at the detector (10.7.1.3),
where the patient appears enlarged; a stated magnification factor is taken out.
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset

from indexer.images.header_numbers import first_number, header_numbers
from indexer.images.radiograph import Grey, restore_size

_LARGEST_STRETCH = 4.0  # a larger ratio is an error in the header
_RATIOS = (
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelAspectRatio",
)
_SPACINGS = _RATIOS[:3]
_WIDTH_MM = (20.0, 2000.0)
"""A width outside is an error in the header."""
_UNEVEN = 0.02
_OPPOSITE = dict(zip("LRAPHF", "RLPAFH", strict=True))


def square_pixels(pixels: Grey, dataset: Dataset, notes: list[str]) -> Grey:
    """Resample if the header states pixels that are not square (height to width of one pixel).

    The first of the four attributes with two positive numbers decides.
    """
    for keyword in _RATIOS:
        pair = header_numbers(dataset, keyword)
        if len(pair) != 2 or min(pair) <= 0:
            continue
        ratio = pair[0] / pair[1]
        if abs(ratio - 1) > 0.01 and 1 / _LARGEST_STRETCH <= ratio <= _LARGEST_STRETCH:
            height, width = pixels.shape
            notes.append("oblong pixels made square")
            return restore_size(pixels, round(width * 1000), round(height * ratio * 1000))
        return pixels
    return pixels


@dataclass(frozen=True, kw_only=True)
class PixelSize:
    """The side of a pixel, and where it holds."""

    millimetres: float
    plane: Literal["patient", "detector"]


def pixel_size(pixels: Grey, dataset: Dataset) -> PixelSize | None:
    """Return the size of the square ``pixels`` before they are turned; None where not stated."""
    spacing = _spacing(dataset)
    if spacing is None:
        return None
    rows, columns, plane = spacing
    across = int(dataset.Columns) * columns / pixels.shape[1]
    along = int(dataset.Rows) * rows / pixels.shape[0]
    possible = _WIDTH_MM[0] <= across * pixels.shape[1] <= _WIDTH_MM[1]
    if not possible or abs(across / along - 1) > _UNEVEN:
        return None
    return PixelSize(millimetres=across, plane=plane)


def _spacing(dataset: Dataset) -> tuple[float, float, Literal["patient", "detector"]] | None:
    """Return the first spacing of rows and columns, in mm, that has two positive numbers."""
    for keyword in _SPACINGS:
        pair = header_numbers(dataset, keyword)
        if len(pair) != 2 or min(pair) <= 0:
            continue
        if keyword == "PixelSpacing" and pair != header_numbers(dataset, "ImagerPixelSpacing"):
            return pair[0], pair[1], "patient"
        factor = first_number(dataset, "EstimatedRadiographicMagnificationFactor")
        if keyword != "NominalScannedPixelSpacing" and factor is not None and 1 <= factor < 2:
            return pair[0] / factor, pair[1] / factor, "patient"
        return pair[0], pair[1], "detector"
    return None


def upright(pixels: Grey, dataset: Dataset, notes: list[str]) -> Grey:
    """Turn the head up and, on a frontal image, the patient's left to the right.

    A lateral image is only turned: either side may face left. Without PatientOrientation, or with
    one that contradicts itself, the pixels stay as they are; a direction that neither a frontal
    nor a lateral image can have is noted.
    """
    directions = _directions(dataset)
    if directions is None:
        return pixels
    row, column = directions
    if {row, column}.isdisjoint("HF"):
        notes.append("orientation of the header is that of neither a frontal nor a lateral image")
        return pixels
    turns = 0
    while column != "F":  # a quarter turn to the left
        row, column = column, _OPPOSITE[row]
        turns += 1
    turned = np.rot90(pixels, turns)
    if turns:
        notes.append(f"turned by {90 * turns} degrees, as its PatientOrientation states")
    if row == "R":
        turned = turned[:, ::-1]
        notes.append("mirrored, as its PatientOrientation states")
    return np.ascontiguousarray(turned)


def _directions(dataset: Dataset) -> tuple[str, str] | None:
    """Return the main directions of a row and a column, such as ("L", "F")."""
    stated = dataset.get("PatientOrientation")
    parts = stated.split("\\") if isinstance(stated, str) else list(stated or ())
    letters = [re.match(r"\s*([LRAPHF])", str(part).upper()) for part in parts]
    if len(letters) != 2 or letters[0] is None or letters[1] is None:
        return None
    row, column = letters[0][1], letters[1][1]
    return None if column in (row, _OPPOSITE[row]) else (row, column)
