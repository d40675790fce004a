"""A decoded radiograph, and limits on the files to decode."""

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
    """Limits on a file. Sizes in its header are checked before decoding."""

    max_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 100_000_000
    min_side: int = 32
    """Anything smaller is a thumbnail, icon or tracking pixel."""

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
    """One decoded radiograph."""

    pixels: Grey  # (height, width)
    """Air dark and bone bright, in the original aspect ratio."""
    view_position: ViewPosition | None
    """As stated in a DICOM header, if any."""
    notes: tuple[str, ...]
    """What a user should know about the conversion; contains no patient data."""

    @property
    def sha256(self) -> str:
        """Hash shape and pixels, so that equal images in different files have equal hashes."""
        height, width = self.pixels.shape
        digest = hashlib.sha256(f"{height}x{width}:".encode())
        digest.update(self.pixels.tobytes())
        return digest.hexdigest()


def restore_size(pixels: Grey, width: int, height: int) -> Grey:
    """Restore the aspect ratio of an original of ``width`` x ``height``.

    The longer side keeps its length, and the shorter one follows from the ratio (antialiased
    bicubic).
    """
    if width < 1 or height < 1:
        raise UserError(
            f"an original size of {width} x {height} is impossible: both must be positive"
        )
    longest = max(pixels.shape)
    new_width = max(1, round(longest * min(1.0, width / height)))
    new_height = max(1, round(longest * min(1.0, height / width)))
    if pixels.shape == (new_height, new_width):
        return pixels
    resized = Image.fromarray(pixels).resize((new_width, new_height), Image.Resampling.BICUBIC)
    return np.asarray(resized).copy()


def check_contrast(pixels: Grey, name: str) -> None:
    """Raise UserError for an image with a single grey level."""
    if pixels.min() == pixels.max():
        raise UserError(f"{name} is blank (every pixel is the same): send the image itself")


_quiet_lock = threading.Lock()
_quiet_depth = 0
_silence = ExitStack()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Suppress warnings and log lines of the decoders, which quote header values.

    Unlike ``warnings.catch_warnings`` alone, this is safe for threads that decode at the same time:
    the first to enter suppresses, the last to leave restores.
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
    """Silence pydicom's logger permanently, because its messages quote patients' files."""
    logger = logging.getLogger("pydicom")
    if logger.level != logging.CRITICAL:  # setting a level empties the caches of all loggers
        logger.setLevel(logging.CRITICAL)
