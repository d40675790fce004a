"""Make the pixels of a DICOM radiograph square and the patient upright, as the header states.

Spacing comes before the aspect ratio, which the standard allows only where no spacing is given
(PS3.3 C.7.6.3). PatientOrientation (C.7.6.1.1.1) names the directions of rows and columns; a
frontal image is shown with the patient's left at the right and the head at the top.
"""

import re

import numpy as np
from pydicom.dataset import Dataset

from indexer.images.header_numbers import header_numbers
from indexer.images.radiograph import Grey, restore_size

_LARGEST_STRETCH = 4.0  # a larger ratio is an error in the header
_RATIOS = (
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelAspectRatio",
)
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
