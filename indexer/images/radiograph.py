"""A decoded radiograph, and limits on the files to decode."""

import datetime
import hashlib
import logging
import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.errors import TooLargeError, UserError
from db.index.case import ViewPosition

Grey = npt.NDArray[np.uint8]

MOST_WINDOWS = 8
"""Of one DICOM file that are offered."""


class LargeImageError(TooLargeError):
    """An image of too many bytes or pixels, or that takes too much memory or time."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on a file. Sizes in its header are checked before decoding."""

    max_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 100_000_000
    max_decoded_bytes: int = 400_000_000
    """Pixels, by the bytes that a decoder keeps for each."""
    max_kept_pixels: int = 20_000_000
    """A larger image is reduced: detectors for the chest have fewer, encoders look at far fewer."""
    max_elements: int = 100_000
    """Of a DICOM data set, those of its sequences, items and fragments included."""
    max_depth: int = 50
    """Of items within items in a DICOM data set."""
    min_side: int = 32
    """Anything smaller is a thumbnail, icon or tracking pixel."""
    accept_as_chest: bool = False
    """Read a DICOM file also if its header names another modality or part of the body."""
    window: int | None = None
    """Which of its own windows to show a DICOM file with, from 1; None for the first if that shows
    the image."""

    def check_bytes(self, count: int, name: str) -> None:
        """Raises LargeImageError above ``max_bytes`` and UserError for an empty file."""
        if count == 0:
            raise UserError(f"{name} is empty (zero bytes): export or upload the image again")
        if count > self.max_bytes:
            raise LargeImageError(
                f"{name} has {count:,} bytes, the limit is {self.max_bytes:,}: send a smaller file"
            )

    def check_size(self, width: int, height: int, name: str, *, pixel_bytes: int = 1) -> None:
        """Raises LargeImageError above ``max_pixels`` or ``max_decoded_bytes``, and UserError for a
        side below ``min_side``.

        ``pixel_bytes``: what a decoder keeps for each pixel.
        """
        if width * height > self.max_pixels:
            raise LargeImageError(
                f"{name} declares {width} x {height} pixels, the limit is {self.max_pixels:,} in "
                "all: send a smaller image"
            )
        if width * height * pixel_bytes > self.max_decoded_bytes:
            raise LargeImageError(
                f"{name} declares {width} x {height} pixels, which take "
                f"{width * height * pixel_bytes:,} bytes to decode, the limit is "
                f"{self.max_decoded_bytes:,}: send a smaller image, in grey"
            )
        if min(width, height) < self.min_side:
            raise UserError(
                f"{name} is {width} x {height} pixels, a radiograph needs at least "
                f"{self.min_side} on each side: send the full image"
            )


@dataclass(frozen=True, kw_only=True, repr=False)
class Subject:
    """Whose image it is and of which study, by a DICOM header; empty where it does not say."""

    patient_id: str = ""
    name: str = ""
    birth_date: str = ""
    study_id: str = ""
    """StudyInstanceUID."""
    study_date: str = ""
    """``YYYYMMDD``."""

    @property
    def date(self) -> datetime.date | None:
        """The date of the study; None where the header does not state one."""
        try:
            return datetime.datetime.strptime(self.study_date, "%Y%m%d").date()
        except ValueError:
            return None

    def is_other_patient(self, other: "Subject") -> bool:
        """Return whether the two are certainly different people.

        The id decides; if it is equal, or one has none, the birth date does; without either, the
        name does.
        """
        if self.patient_id and other.patient_id and self.patient_id != other.patient_id:
            return True
        if self.birth_date and other.birth_date and self.birth_date != other.birth_date:
            return True
        known = self.patient_id and other.patient_id
        return bool(not known and self.name and other.name and self.name != other.name)


@dataclass(frozen=True, kw_only=True)
class FileWindow:
    """A window that a DICOM file states for its values."""

    name: str
    centre: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Display:
    """What a DICOM header says about showing and measuring its image; never stored."""

    pixel_mm: float | None = None
    """Side of a pixel as decoded, in mm; None where the header does not state it."""
    plane: Literal["patient", "detector"] | None = None
    """Where that holds: at the detector the patient appears enlarged."""
    windows: tuple[FileWindow, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Radiograph:
    """One decoded radiograph."""

    pixels: Grey  # (height, width)
    """Air dark and bone bright, in the original aspect ratio."""
    view_position: ViewPosition | None
    """As stated in a DICOM header, if any."""
    notes: tuple[str, ...]
    """What a user should know about the conversion; contains no patient data."""
    subject: Subject | None = field(default=None, repr=False)
    """Of a DICOM header; compared between the images of a study, never stored."""
    display: Display | None = field(default=None, repr=False)
    """Of a DICOM header."""

    @cached_property
    def sha256(self) -> str:
        """Hash shape and pixels, so that equal images in different files have equal hashes."""
        height, width = self.pixels.shape
        digest = hashlib.sha256(f"{height}x{width}:".encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True, eq=False)
class PngRadiograph:
    """A decoded radiograph as PNG."""

    png: bytes
    view_position: ViewPosition | None
    notes: tuple[str, ...]
    subject: Subject | None = field(default=None, repr=False)
    """As of a `Radiograph`."""
    display: Display | None = field(default=None, repr=False)
    """As of a `Radiograph`; ``pixel_mm`` is that of the PNG."""


AnyRadiograph = TypeVar("AnyRadiograph", Radiograph, PngRadiograph)


def reduced(image: Radiograph, limits: Limits) -> Radiograph:
    """Average blocks of pixels of an image larger than ``max_kept_pixels``, with a note."""
    height, width = image.pixels.shape
    factor = math.ceil(math.sqrt(height * width / limits.max_kept_pixels))
    if factor <= 1:
        return image
    factors = tuple(max(1, min(factor, side // limits.min_side)) for side in (width, height))
    small = np.asarray(Image.fromarray(image.pixels).reduce(factors)).copy()
    note = f"reduced from {width} x {height} to {small.shape[1]} x {small.shape[0]} pixels"
    return replace(
        image,
        pixels=small,
        notes=(*image.notes, note),
        display=rescaled(image.display, width / small.shape[1]),
    )


def rescaled(display: Display | None, factor: float) -> Display | None:
    """What holds of an image once a side of its pixels is ``factor`` as long."""
    if display is None or display.pixel_mm is None:
        return display
    return replace(display, pixel_mm=display.pixel_mm * factor)


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


def out_of_memory(name: str) -> LargeImageError:
    """Make the error for an image that took more memory than there was."""
    return LargeImageError(f"{name} takes too much memory to decode: send a smaller image")


class TwoPatientsError(UserError):
    """Images of two patients where those of one study were expected."""


def as_one_study(images: Sequence[AnyRadiograph]) -> list[AnyRadiograph]:
    """Return the images, with a note if they belong to several studies by their headers.

    Raises TwoPatientsError, naming both ids, for images of two patients.
    """
    stated = [(place, one.subject) for place, one in enumerate(images, start=1) if one.subject]
    for at, (place, subject) in enumerate(stated):
        for later, other in stated[at + 1 :]:
            if subject.is_other_patient(other):
                raise TwoPatientsError(
                    f"images of two patients in one study: image {place} is of "
                    f"{_patient(subject)}, image {later} of {_patient(other)}; send the views of "
                    "one patient"
                )
    studies = {subject.study_id for _, subject in stated if subject.study_id}
    if len(studies) < 2 or SEVERAL_STUDIES in images[0].notes:
        return list(images)
    noted: list[AnyRadiograph] = list(images)
    noted[0] = replace(noted[0], notes=(*noted[0].notes, SEVERAL_STUDIES))
    return noted


SEVERAL_STUDIES = "images of different studies by their headers: check that they belong together"


def _patient(subject: Subject) -> str:
    if not subject.patient_id:
        return "a patient without an id"
    shown = "".join(letter if letter.isprintable() else "?" for letter in subject.patient_id)
    return f"patient '{shown[:64]}'"


_quiet_lock = threading.Lock()
_quiet_depth = 0
_silence = ExitStack()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Suppress warnings and log lines of libraries that read headers, because they quote values.

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
    """Silence the decoders' loggers permanently, because their messages quote patients' files."""
    for name in ("pydicom", "highdicom", "tifffile"):
        logger = logging.getLogger(name)
        if logger.level != logging.CRITICAL:  # setting a level empties the caches of all loggers
            logger.setLevel(logging.CRITICAL)
