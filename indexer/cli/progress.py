"""Progress on stderr: a bar for a person, and for a log or a pipe a line a minute of a long job."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SELDOM = 60
"""Seconds."""


def progress_bar(
    items: Iterable[Any] | None = None, *, total: int | None = None, initial: int = 0, unit: str
) -> "tqdm[Any]":
    """``items`` with a bar around them; without any, a bar that ``update`` moves."""
    pace: dict[str, Any] = {} if sys.stderr.isatty() else {"mininterval": SELDOM, "delay": SELDOM}
    return tqdm(items, total=total, initial=initial, unit=unit, file=sys.stderr, **pace)
