"""Decode image files whose values Pillow would cut to 8 bits or does not read.

    values = read_array(data, name, limits)      # None: a file for Pillow

These are PNG, TIFF and Netpbm files of 16-bit colour, compressed TIFF, and JPEG 2000.
"""

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from db.errors import UserError
from indexer.images.codestream import read_jpeg2000
from indexer.images.radiograph import Limits

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffFrame, TiffPage

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_2000 = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
_DEEP_PPM = re.compile(rb"P6(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s+(\d{3,5})\s")
_PNG_CHANNELS = {2: 3, 4: 2, 6: 4}
"""By colour type: colour, grey and alpha, colour and alpha."""
_DIRECTORIES = 3
"""Of a TIFF that are looked at: an image, a thumbnail, and one that is too many."""
_ORIENTATION = 274


@dataclass(frozen=True, kw_only=True, eq=False)
class Raster:
    """Decoded values of an image file."""

    values: np.ndarray
    """(height, width) or (height, width, channels)."""
    white_is_zero: bool = False
    orientation: int = 1
    """As in EXIF."""


def read_array(data: bytes, name: str, limits: Limits) -> Raster | None:
    """Decode a file that needs it; None for any other.

    Raises UserError for several images in a file, and TooLargeError above a limit, before
    anything is decoded; on damage almost any exception.
    """
    if data.startswith(_PNG) and len(data) > 33 and data[24] == 16:
        if data[25] not in _PNG_CHANNELS or b"acTL" in data[:1024]:
            return None
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
        limits.check_size(width, height, name, pixel_bytes=2 * _PNG_CHANNELS[data[25]])
        import imagecodecs  # slow to import

        return Raster(values=imagecodecs.png_decode(data))
    if data.startswith(_JPEG_2000):
        return _read_jpeg2000(data, name, limits)
    if data.startswith(_TIFF):
        return _read_tiff(data, name, limits)
    if found := _DEEP_PPM.match(data[:1024]):
        width, height, most = map(int, found.groups())
        if most <= 255:
            return None
        limits.check_size(width, height, name, pixel_bytes=6)
        values = np.frombuffer(data, ">u2", 3 * width * height, found.end())
        return Raster(values=values.astype(np.uint16).reshape(height, width, 3))
    return None


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height of a WebP file from its first chunk (RFC 9649); None for another file.

    Opening such a file already allocates its canvas.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return _little(data[24:27]) + 1, _little(data[27:30]) + 1
    if kind == b"VP8L":
        bits = _little(data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _read_jpeg2000(data: bytes, name: str, limits: Limits) -> Raster:
    stated = read_jpeg2000(data)
    if stated is None:
        raise ValueError("no SIZ segment")
    pixel_bytes = 4 * max(1, stated.samples)  # the decoder computes with 32 bits
    limits.check_size(stated.width, stated.height, name, pixel_bytes=pixel_bytes)
    if stated.samples not in (1, 2, 3, 4):
        raise UserError(f"{name} has {stated.samples} channels: save it as a grey image")
    import imagecodecs

    return Raster(values=imagecodecs.jpeg2k_decode(data))


def _first_pages(file: "TiffFile") -> list["TiffPage | TiffFrame"]:
    """Return the first pages; a slice of them would read every directory of the file."""
    pages: list[TiffPage | TiffFrame] = []
    for number in range(_DIRECTORIES):
        try:
            pages.append(file.pages[number])
        except IndexError:
            break
    return pages


def _read_tiff(data: bytes, name: str, limits: Limits) -> Raster | None:
    import tifffile  # slow to import

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages = [page for page in _first_pages(file) if not getattr(page, "is_reduced", False)]
        if len(pages) != 1:
            raise UserError(f"{name} holds several images: send one radiograph per file")
        page = pages[0].aspage()
        pixel_bytes = max(1, page.samplesperpixel * page.bitspersample // 8)
        limits.check_size(page.imagewidth, page.imagelength, name, pixel_bytes=pixel_bytes)
        if page.is_tiled:
            limits.check_size(page.tilewidth, page.tilelength, name, pixel_bytes=pixel_bytes)
        if page.imagedepth != 1:
            raise UserError(f"{name} holds a volume: send one radiograph per file")
        deep = page.samplesperpixel > 1 and page.bitspersample > 8
        if page.compression == tifffile.COMPRESSION.NONE and not deep and not file.is_bigtiff:
            return None
        kind = tifffile.PHOTOMETRIC
        known = (kind.MINISBLACK, kind.MINISWHITE, kind.RGB, kind.PALETTE, kind.YCBCR)
        if page.photometric not in known:
            raise UserError(f"{name} is a TIFF of unusual colours: save it as a grey image")
        values = page.asarray()
        if page.photometric == kind.PALETTE and page.colormap is not None:
            values = np.moveaxis(page.colormap[:, values], 0, -1)
        elif page.axes == "SYX":
            values = np.moveaxis(values, 0, -1)
        tag = page.tags.get(_ORIENTATION)
        return Raster(
            values=values,
            white_is_zero=page.photometric == kind.MINISWHITE,
            orientation=1 if tag is None else int(tag.value),
        )
