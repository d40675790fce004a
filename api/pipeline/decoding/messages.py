"""What is sent to a decoding process, and what it answers: JSON, then pixels or a PNG."""

import struct
from typing import Literal

import msgspec

from db.errors import NotFoundError, TooLargeError, UserError
from db.index.case import ViewPosition
from indexer.images.dicom import Identifiers, StudyAttributes
from indexer.images.radiograph import Display, LargeImageError, Subject

HEAD = struct.Struct(">I")
"""The length of the JSON that follows, of a job and of an outcome."""
_ERRORS: dict[str, type[UserError]] = {
    one.__name__: one for one in (UserError, TooLargeError, LargeImageError, NotFoundError)
}


DecodingKind = Literal["pixels", "png", "preview", "identifiers", "study"]
"""What is asked for: the image, the image as PNG, or as PNG of a size for a page; the identifiers
or the patient and study of a header."""


class DecodingJob(msgspec.Struct, kw_only=True):
    """A file to decode, and what to answer."""

    kind: DecodingKind
    name: str
    """Of the file, for messages."""
    offset: int
    length: int
    """Where the file is in what the descriptor opens."""
    accept_as_chest: bool = False
    window: int | None = None
    """As in `Limits`."""
    proportions: tuple[int, int] | None = None
    """Width and height that a preview is stretched to; None for those of the file."""
    max_bytes: int
    max_pixels: int
    max_decoded_bytes: int
    """As in `Limits`."""


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a job; ``size`` bytes of pixels or PNG follow it."""

    size: int = 0
    height: int = 0
    width: int = 0
    view_position: ViewPosition | None = None
    notes: tuple[str, ...] = ()
    subject: Subject | None = None
    display: Display | None = None
    identifiers: Identifiers | None = None
    study: StudyAttributes | None = None
    error: str | None = None
    error_type: str = "UserError"
    defect: str | None = None
    """The traceback of an error in this program, without its message."""

    def raise_error(self) -> None:
        """Raise the error, if there is one."""
        if self.defect is not None:
            raise RuntimeError(f"a decoder failed:\n{self.defect}")
        if self.error is not None:
            raise _ERRORS.get(self.error_type, UserError)(self.error)
