"""What the values of a column look like: paths, reports, ids, views, splits."""

from collections.abc import Iterable
from statistics import median
from typing import Any

from indexer.images.dicom_header import read_view
from indexer.sources.column_names import RANKS, plain_name
from indexer.sources.image_paths import has_image_ending, split_cell

_REPORT_WORDS = 4
_LONGEST_ID = 128
_SPLITS = frozenset(
    "train training val valid validation validate dev test testing unlisted".split()
)


class Column:
    """One column with its values in the first rows."""

    def __init__(self, name: str, cells: Iterable[Any]) -> None:
        self.name = name
        self.plain = plain_name(name)
        filled = [cell for cell in cells if cell is not None and str(cell).strip()]
        self.holds_images = any(isinstance(cell, bytes | dict | list) for cell in filled)
        self.values = [] if self.holds_images else [str(cell).strip() for cell in filled]
        self.paths = [path for value in self.values for path in split_cell(value)]
        self.words = median([len(value.split()) for value in self.values] or [0])

    def rank(self, key: str) -> int | None:
        return RANKS[key].get(self.plain)

    def image_paths(self) -> float:
        """Return the share of values that end like the path of an image."""
        return _share(has_image_ending(path) for path in self.paths)

    def is_text(self) -> bool:
        return bool(self.values) and self.words >= _REPORT_WORDS and self.image_paths() < 0.5

    def is_id(self) -> bool:
        return bool(self.values) and all(
            len(value) <= _LONGEST_ID and "\n" not in value and len(value.split()) <= 3
            for value in self.values
        )


def is_prose(column: Column) -> bool:
    """Whether a column could hold a section: text or nothing, no paths and no bare numbers."""
    if not column.values or column.holds_images:
        return False
    numbers = _share(value.replace(".", "").replace("-", "").isdigit() for value in column.values)
    return column.image_paths() < 0.5 and numbers < 0.5


def is_view(column: Column) -> bool:
    return _share(read_view(value) is not None for value in column.values) >= 0.5


def is_split(column: Column) -> bool:
    return bool(column.values) and {value.lower() for value in column.values} <= _SPLITS


def _share(found: Iterable[bool]) -> float:
    values = list(found)
    return sum(values) / len(values) if values else 0.0
