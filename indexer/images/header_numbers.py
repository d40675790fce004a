"""Read numbers of a DICOM header as devices write them, not only as the standard allows.

header_numbers(dataset, "PixelSpacing")          # [0.2, 0.2], also for "0,2\\0,2"
"""

import math
import re

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")


def header_numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Return the finite numbers of an element; empty if it is missing, empty or no number.

    The raw bytes are parsed, because pydicom refuses a decimal comma.
    """
    try:
        element = dataset.get_item(keyword)
        if element is None:
            return []
        value = element.value
        if isinstance(element, RawDataElement):
            if element.VR not in (None, "DS", "IS", "UN", "LO", "SH", "CS"):
                value = dataset[keyword].value
            elif value is not None:
                value = value.decode("ascii", "replace").strip("\0 ")
    except (ValueError, TypeError, KeyError):
        return []
    if value is None:
        return []
    if isinstance(value, str):
        parts: list[object] = list(value.split("\\"))
        if len(parts) == 1 and value.count(",") == 1 and not _DECIMAL_COMMA.fullmatch(value):
            parts = list(value.split(","))
    else:
        parts = list(value) if hasattr(value, "__iter__") else [value]
    numbers = [_number(part) for part in parts]
    return [] if None in numbers else [number for number in numbers if number is not None]


def is_stated(dataset: Dataset, keyword: str) -> bool:
    """Return whether an element is there and not empty, whatever it holds."""
    element = dataset.get_item(keyword)
    return element is not None and element.value not in (None, "", b"")


def first_number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first number of an element, or None."""
    return next(iter(header_numbers(dataset, keyword)), None)


def _number(part: object) -> float | None:
    text = str(part).strip()
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
