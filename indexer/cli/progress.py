"""Progress on stderr: a bar on a terminal, a line per minute in a log.

Messages of libraries that tell a user nothing to do are kept from it.
"""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


@contextmanager
def quiet_loading(*, bars: bool = False) -> Iterator[None]:
    """Errors alone are shown; ``bars`` leaves the progress bars on, for weights that take long."""
    from transformers.utils import logging as transformers_logging

    bitsandbytes = logging.getLogger("bitsandbytes")
    before = bitsandbytes.level, transformers_logging.get_verbosity()
    shown = transformers_logging.is_progress_bar_enabled()
    bitsandbytes.setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if not bars:
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        bitsandbytes.setLevel(before[0])
        transformers_logging.set_verbosity(before[1])
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
