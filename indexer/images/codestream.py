"""Check a compressed DICOM frame against the header without decoding it.

The decoders are native code that allocates what the frame demands, and one of them (RLE) aborts on
runs that do not fit. A header within the limits is therefore safe only if the frame agrees with it.
"""

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
    encapsulated: bytes,
    syntax: UID,
    *,
    width: int,
    height: int,
    samples: int,
    bits_allocated: int,
    name: str,
) -> None:
    """Raise UserError unless the single frame has the size stated in the DICOM header."""
    frame = next(generate_frames(encapsulated, number_of_frames=1))
    if syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        declared = _jpeg_size(frame)
    elif syntax in JPEG2000TransferSyntaxes or "High-Throughput" in syntax.name:
        declared = _jpeg2000_size(frame)
    elif syntax == RLELossless:
        planes = samples * bits_allocated // 8
        fits = _rle_lengths(frame) == [width * height] * planes
        declared = (width, height, samples) if fits else None
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
    """Read width, height and components from the first SOF segment; None without one."""
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
    """Read width, height and components from the SIZ segment, skipping a JP2 box header."""
    start = frame.find(_SIZ, 0, 4096)
    if start < 0 or len(frame) < start + 42:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    (components,) = struct.unpack_from(">H", frame, start + 40)
    return right - left, bottom - top, components


def _rle_lengths(frame: bytes) -> list[int]:
    """Compute the decoded length of each segment of an RLE frame (PS3.5 G); -1 if truncated."""
    count, *offsets = struct.unpack_from("<16L", frame)
    ends = [*offsets[1:count], len(frame)]
    return [
        _rle_length(frame[start:end]) for start, end in zip(offsets[:count], ends, strict=False)
    ]


def _rle_length(segment: bytes) -> int:
    length = position = 0
    while position < len(segment) - 1:  # a single last byte is padding to even length
        header = segment[position]
        if header < 128:
            length += header + 1
            position += header + 2
        elif header > 128:
            length += 257 - header
            position += 2
        else:
            position += 1
    return length if position <= len(segment) else -1
