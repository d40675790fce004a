"""A decoded radiograph, and the limits a file must keep to."""

import hashlib
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.errors import TooLargeError, UserError
from db.index.store import ViewPosition

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may ask for. The sizes are read from the header and checked before decoding."""

    max_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 100_000_000
    min_side: int = 32
    """Shorter sides carry no image: thumbnails, icons, tracking pixels."""

    def check_bytes(self, count: int, name: str) -> None:
        """Raises TooLargeError above ``max_bytes`` and UserError for an empty file."""
        if count == 0:
            raise UserError(f"{name} is empty (zero bytes): export or upload the image again")
        if count > self.max_bytes:
            raise TooLargeError(
                f"{name} has {count:,} bytes, the limit is {self.max_bytes:,}: send a smaller file"
            )

    def check_size(self, width: int, height: int, name: str) -> None:
        """Raises TooLargeError above ``max_pixels`` and UserError for a side below ``min_side``."""
        if width * height > self.max_pixels:
            raise TooLargeError(
                f"{name} declares {width} x {height} pixels, the limit is {self.max_pixels:,} in "
                "all: send a smaller image"
            )
        if min(width, height) < self.min_side:
            raise UserError(
                f"{name} is {width} x {height} pixels, a radiograph needs at least "
                f"{self.min_side} on each side: send the full image"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Radiograph:
    """One radiograph as everything after this module sees it."""

    pixels: Grey  # (height, width)
    """Air dark and bone bright, the aspect ratio of the image kept."""
    view_position: ViewPosition | None
    """As a DICOM header states it; None where nothing is stated."""
    notes: tuple[str, ...]
    """What was done or assumed that a person should know; holds nothing about the patient."""

    @property
    def sha256(self) -> str:
        """Of shape and pixels, so that equal images in different files are found equal."""
        height, width = self.pixels.shape
        digest = hashlib.sha256(f"{height}x{width}:".encode())
        digest.update(self.pixels.tobytes())
        return digest.hexdigest()


def restore_size(pixels: Grey, width: int, height: int) -> Grey:
    """Undo a squash: the image with the aspect ratio of the original ``width`` x ``height``.

    The longer side of the result is as long as the longer side given, so nothing is enlarged
    beyond it; the shorter one follows from the ratio (antialiased bicubic).
    """
    if width < 1 or height < 1:
        raise UserError(f"an original size of {width} x {height} is impossible: give positive ones")
    longest = max(pixels.shape)
    new_width = max(1, round(longest * min(1.0, width / height)))
    new_height = max(1, round(longest * min(1.0, height / width)))
    if pixels.shape == (new_height, new_width):
        return pixels
    resized = Image.fromarray(pixels).resize((new_width, new_height), Image.Resampling.BICUBIC)
    return np.asarray(resized).copy()


def check_contrast(pixels: Grey, name: str) -> None:
    """Raises UserError for an image of one single grey level, which shows nothing."""
    if pixels.min() == pixels.max():
        raise UserError(f"{name} is blank (every pixel is the same): send the image itself")


_quiet_lock = threading.Lock()
_quiet_depth = 0
_silence = ExitStack()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep the decoders' warnings and log lines, which quote header values, from getting out.

    Safe for threads that decode at the same time (``warnings.catch_warnings`` alone is not): the
    first to enter silences, the last to leave restores.
    """
    global _quiet_depth
    with _quiet_lock:
        if _quiet_depth == 0:
            _quiet_logger()
            _silence.enter_context(warnings.catch_warnings(category=Warning, action="ignore"))
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                _silence.close()


def _quiet_logger() -> None:
    """For good, not for the moment: whatever pydicom has to say, it says about a patient's file."""
    logger = logging.getLogger("pydicom")
    if logger.level != logging.CRITICAL:  # setting a level empties the caches of all loggers
        logger.setLevel(logging.CRITICAL)
