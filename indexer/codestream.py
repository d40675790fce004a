"""The size that a compressed DICOM frame declares for itself, read without decoding it."""

import struct

from pydicom.encaps import generate_frames
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from db.errors import UserError

_SIZ = b"\xff\x4f\xff\x51"
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15 without DHT, JPG and DAC (ISO/IEC 10918-1 B.1.1.3), and SOF55 of JPEG-LS."""


def check_codestream(
    encapsulated: bytes, syntax: UID, *, width: int, height: int, samples: int, name: str
) -> None:
    """Raises UserError unless the one frame in there declares the size of the DICOM header.

    The decoders allocate what the frame asks for, so a header within the limits proves nothing.
    """
    frame = next(generate_frames(encapsulated, number_of_frames=1))
    if syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        declared = _jpeg_size(frame)
    elif syntax in JPEG2000TransferSyntaxes or "High-Throughput" in syntax.name:
        declared = _jpeg2000_size(frame)
    elif syntax == RLELossless:
        return  # has no size of its own; decoded into a frame of the header's size
    else:
        raise UserError(
            f"{name} is compressed as {syntax.name}, which is not read here: export it uncompressed"
        )
    if declared != (width, height, samples):
        raise UserError(
            f"{name} is damaged: its compressed image and its header disagree about the size; "
            "export it again"
        )


def _jpeg_size(frame: bytes) -> tuple[int, int, int] | None:
    """Width, height and components of the first SOF segment; None where there is none."""
    position = 2
    while position + 10 <= len(frame) and frame[position] == 0xFF:
        marker = frame[position + 1]
        if marker in _FRAME_MARKERS:
            height, width, components = struct.unpack_from(">HHB", frame, position + 5)
            return width, height, components
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        position += 2 + struct.unpack_from(">H", frame, position + 2)[0]
    return None


def _jpeg2000_size(frame: bytes) -> tuple[int, int, int] | None:
    """Width, height and components of the SIZ segment; a JP2 box header before it is skipped."""
    start = frame.find(_SIZ, 0, 4096)
    if start < 0 or len(frame) < start + 42:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    (components,) = struct.unpack_from(">H", frame, start + 40)
    return right - left, bottom - top, components
