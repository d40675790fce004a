"""Check a compressed DICOM frame against the header without decoding it.

The decoders are native code that allocates what the frame demands, and one of them (RLE) aborts on
runs that do not fit. A header within the limits is therefore safe only if the frame agrees with it.
"""

import struct
from dataclasses import dataclass

from pydicom.encaps import generate_fragments, generate_frames, parse_basic_offsets
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from db.errors import UserError

_SIZ = b"\xff\x4f\xff\x51"
_STARTS = (b"\xff\xd8\xff", _SIZ, b"\x00\x00\x00\x0cjP  ")
"""The first bytes of a frame of the JPEG family; its later fragments start otherwise."""
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15 without DHT, JPG and DAC (ISO/IEC 10918-1 B.1.1.3), and SOF55 of JPEG-LS."""


@dataclass(frozen=True, kw_only=True)
class Codestream:
    """What the compressed image says about itself."""

    width: int
    height: int
    samples: int
    precision: int | None = None
    """Bits per sample; None for RLE, which does not state them."""
    signed: bool | None = None
    """Whether samples may be negative; stated by JPEG 2000 alone."""


def check_codestream(
    encapsulated: bytes,
    syntax: UID,
    *,
    width: int,
    height: int,
    samples: int,
    bits_allocated: int,
    name: str,
) -> Codestream:
    """Raise UserError unless there is a single frame of the size stated in the DICOM header."""
    count = _frames(encapsulated, syntax)
    if count > 1:
        raise UserError(
            f"{name} holds {count} frames, though its header declares one: send one radiograph "
            "per file"
        )
    frame = next(generate_frames(encapsulated, number_of_frames=1))
    if syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        declared = _jpeg(frame)
    elif syntax in JPEG2000TransferSyntaxes or "High-Throughput" in syntax.name:
        declared = read_jpeg2000(frame)
    elif syntax == RLELossless:
        planes = samples * bits_allocated // 8
        fits = _rle_lengths(frame) == [width * height] * planes
        declared = Codestream(width=width, height=height, samples=samples) if fits else None
    else:
        raise UserError(
            f"{name} is compressed as {syntax.name}, which is not read here: export it uncompressed"
        )
    if declared is None or (declared.width, declared.height, declared.samples) != (
        width,
        height,
        samples,
    ):
        raise UserError(
            f"{name} is damaged: its compressed image and its header disagree about the size; "
            "export it again"
        )
    return declared


def _frames(encapsulated: bytes, syntax: UID) -> int:
    """Count the frames by offset table and by the fragments that start one."""
    offsets = parse_basic_offsets(encapsulated)
    _, *fragments = generate_fragments(encapsulated)  # the first is the offset table
    if syntax != RLELossless:  # an RLE frame is one fragment (PS3.5 A.4.2)
        fragments = [one for one in fragments if one.startswith(_STARTS)]
    return max(len(offsets), len(fragments), 1)


def _jpeg(frame: bytes) -> Codestream | None:
    """Read the first SOF segment; None without one."""
    position = 2
    while position + 10 <= len(frame) and frame[position] == 0xFF:
        marker = frame[position + 1]
        if marker in _FRAME_MARKERS:
            precision, height, width, samples = struct.unpack_from(">BHHB", frame, position + 4)
            return Codestream(width=width, height=height, samples=samples, precision=precision)
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        position += 2 + struct.unpack_from(">H", frame, position + 2)[0]
    return None


def read_jpeg2000(frame: bytes) -> Codestream | None:
    """Read the SIZ segment, skipping a JP2 box header; None without one."""
    start = frame.find(_SIZ, 0, 4096)
    if start < 0 or len(frame) < start + 43:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    samples, depth = struct.unpack_from(">HB", frame, start + 40)
    return Codestream(
        width=right - left,
        height=bottom - top,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
    )


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
