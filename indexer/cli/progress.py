"""Progress on stderr: a bar on a terminal, a line per minute in a log.

Library messages that ask nothing of the user are suppressed.
"""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from tqdm import tqdm

SELDOM = 60
"""Seconds between lines in a log."""


def progress_bar(
    items: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    initial: int = 0,
    unit: str,
    desc: str | None = None,
) -> "tqdm[Any]":
    """Wrap ``items`` in a progress bar; without items, return a bar to be moved by ``update``."""
    pace: dict[str, Any] = {} if sys.stderr.isatty() else {"mininterval": SELDOM, "delay": SELDOM}
    return tqdm(items, desc=desc, total=total, initial=initial, unit=unit, file=sys.stderr, **pace)


class ImageBar:
    """A bar that counts images; a terminal shows it before their number is known, a log after."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        if sys.stderr.isatty():
            self._bar = progress_bar(unit="image", desc="reading")
            self._bar.leave = False

    def start(self, total: int, done: int) -> "tqdm[Any]":
        """Begin to count up to ``total``, of which ``done`` were finished earlier."""
        if self._bar is None:
            self._bar = progress_bar(unit="image")
        self._bar.leave = True
        self._bar.total, self._bar.n, self._bar.initial = total, done, done
        self._bar.set_description_str("", refresh=False)
        return self._bar

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


@contextmanager
def quiet_loading(*, bars: bool = False) -> Iterator[None]:
    """Show only errors while weights are loaded; ``bars`` keeps progress bars for slow loads."""
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
