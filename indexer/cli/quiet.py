"""What libraries say while they load weights, kept from stderr: it tells a user nothing to do."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging


@contextmanager
def quiet_loading(*, bars: bool = False) -> Iterator[None]:
    """Errors alone are shown; ``bars`` leaves the progress bars on, for weights that take long."""
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
