"""Files that cost a decoder far more than their sender; all are drawn or computed."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

Image.MAX_IMAGE_PIXELS = None
SIDE = 10_000
"""Pixels of a side of the largest image that is accepted."""
_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
_OPEN_SEQUENCE = struct.pack("<HH2sHI", 0x0040, 0x0555, b"SQ", 0, 0xFFFFFFFF)
_OPEN_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)


@dataclass(frozen=True, kw_only=True)
class HostileRequest:
    """One request: what is wrong with it, and what is sent."""

    name: str
    path: str
    body: bytes
    content_type: str


def _grey(side: int, kind: type = np.uint8) -> np.ndarray:
    """An image that compresses well and is not blank."""
    pixels = np.zeros((side, side), kind)
    pixels[: side // 8] = 200
    pixels[side // 2 :, side // 2 :] = 90
    return pixels


def _saved(pixels: np.ndarray, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


def _colour(side: int) -> np.ndarray:
    return np.repeat(_grey(side)[..., None], 3, axis=2)


def _png(side: int, depth: int, colour: int, channels: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    row = b"\0" + bytes(side * channels * depth // 8 - 1) + b"\xc8"
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _webp(side: int) -> bytes:
    small = bytearray(_saved(_grey(64), "WEBP", lossless=True))
    (bits,) = struct.unpack_from("<I", small, 21)
    small[21:25] = struct.pack("<I", bits >> 28 << 28 | side - 1 << 14 | side - 1)
    return bytes(small)


def _tiff(directories: int, tile: int | None = None) -> bytes:
    data = bytearray(b"II*\0" + struct.pack("<I", 8 + 4096) + bytes(4095) + b"\xc8")
    for number in range(directories):
        tags = [(254, int(number > 0)), (256, 64), (257, 64), (258, 8), (259, 8 if tile else 1)]
        tags += [(262, 1)] if tile else [(262, 1), (273, 8)]
        tags += [(277, 1)] if tile else [(277, 1), (278, 64), (279, 4096)]
        tags += [(322, tile), (323, tile), (324, 8), (325, 4096)] if tile else []
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        following = len(data) + 6 + len(entries)
        following = 0 if number == directories - 1 else following
        data += struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return bytes(data)


def _dicom(pixels: np.ndarray, syntax: str, **attributes: object) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.Modality, dataset.PatientID = "DX", "drawn"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _with_meta(inflated: bytes) -> bytes:
    """A deflated data set of these bytes."""
    data = _dicom(_grey(64), DeflatedExplicitVRLittleEndian)
    (length,) = struct.unpack_from("<I", data, 140)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return data[: 144 + length] + packer.compress(inflated) + packer.flush()


def _rle_noops() -> bytes:
    plain = _dicom(_grey(64), ExplicitVRLittleEndian)
    data = plain.replace(ExplicitVRLittleEndian.encode() + b"\0", RLELossless.encode() + b"\0\0")
    start = data.index(b"\xe0\x7f\x10\x00OW")
    frame = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x80" * 200_000_000
    head = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    fragments = _ITEM + struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame
    return data[:start] + head + fragments + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _lut() -> Sequence:
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [65535, 0, 16], "US"
    item.add_new(0x00283006, "OW", bytes(2 * 65535))
    return Sequence([item] * 200)


FILES: dict[str, Callable[[], bytes]] = {
    "PNG of 100 megapixels": lambda: _png(SIDE, 8, 0, 1),
    "PNG of 100 megapixels, in colour": lambda: _png(SIDE, 8, 2, 3),
    "PNG of 100 megapixels with alpha": lambda: _png(SIDE, 8, 6, 4),
    "PNG of 100 megapixels, 16 bits": lambda: _png(SIDE, 16, 0, 1),
    "PNG of 64 megapixels, 16 bits, in colour": lambda: _png(8_000, 16, 2, 3),
    "PNG of 3,600 megapixels": lambda: _png(64, 8, 0, 1).replace(
        struct.pack(">II", 64, 64), struct.pack(">II", 60_000, 60_000)
    ),
    "JPEG of 100 megapixels": lambda: _saved(_grey(SIDE), "JPEG"),
    "JPEG of 100 megapixels, in colour": lambda: _saved(_colour(SIDE), "JPEG"),
    "JPEG of 64 megapixels, progressive": lambda: _saved(_colour(8_000), "JPEG", progressive=True),
    "TIFF of 100 megapixels": lambda: _saved(_grey(SIDE), "TIFF", compression="tiff_adobe_deflate"),
    "TIFF of 100 megapixels, LZW": lambda: _saved(_grey(SIDE), "TIFF", compression="tiff_lzw"),
    "TIFF of 60,000 directories": lambda: _tiff(60_000),
    "TIFF of a tile of 40,000": lambda: _tiff(1, 40_000),
    "WebP of 100 megapixels by its header": lambda: _webp(SIDE),
    "WebP of 256 megapixels by its header": lambda: _webp(16_000),
    "WebP of 30 megapixels": lambda: _saved(_grey(5_500), "WEBP", method=0),
    "GIF of 100 megapixels": lambda: _saved(_grey(SIDE), "GIF"),
    "BMP of 100 megapixels": lambda: _saved(_grey(SIDE), "BMP"),
    "PGM of 100 megapixels": lambda: _saved(_grey(SIDE), "PPM"),
    "DICOM of 100 megapixels, deflated": lambda: _dicom(
        _grey(SIDE), DeflatedExplicitVRLittleEndian
    ),
    "DICOM of 100 megapixels, 16 bits": lambda: _dicom(
        _grey(SIDE, np.uint16), DeflatedExplicitVRLittleEndian
    ),
    "DICOM of 25 million empty items": lambda: _with_meta(_OPEN_SEQUENCE + _ITEM * 25_000_000),
    "DICOM of 100,000 nested items": lambda: _with_meta((_OPEN_SEQUENCE + _OPEN_ITEM) * 100_000),
    "DICOM of 500 MB once inflated": lambda: _with_meta(bytes(500_000_000)),
    "DICOM of 200 MB of run lengths": _rle_noops,
    "DICOM with a spacing of 100 MB": lambda: _with_meta(
        struct.pack("<HH2sHI", 0x0028, 0x0030, b"UN", 0, 100_000_000) + b"1\\" * 50_000_000
    ),
    "DICOM of 200 tables": lambda: _dicom(
        _grey(512, np.uint16), DeflatedExplicitVRLittleEndian, ModalityLUTSequence=_lut()
    ),
}


def _form(*files: bytes, texts: bytes = b"") -> bytes:
    part = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n'
    return texts + b"".join(part % (b"images", one) for one in files) + b"--x--\r\n"


def hostile_request(number: int) -> HostileRequest:
    """Make the request of this number; names and routes take turns."""
    names = list(FILES)
    name = names[number % len(names)]
    data = FILES[name]()
    kind = "multipart/form-data; boundary=x"
    route = number % 5
    if route == 3 and name.startswith("DICOM"):
        head = b"--x\r\nContent-Type: application/dicom\r\n\r\n"
        return HostileRequest(
            name=name,
            path="/studies",
            body=head + data + b"\r\n" + head + data + b"\r\n--x--\r\n",
            content_type='multipart/related; type="application/dicom"; boundary=x',
        )
    if route == 4 and len(data) < 40_000_000:
        url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}]
        asked = {"model": "grounded-cxr", "messages": [{"role": "user", "content": content}]}
        return HostileRequest(
            name=name,
            path="/v1/chat/completions",
            body=json.dumps(asked).encode(),
            content_type="application/json",
        )
    if route == 2:
        # eight views of one study, where the limit on a request allows it
        views = [data] * min(8, max(1, 250_000_000 // len(data)))
        return HostileRequest(name=name, path="/batches", body=_study(views), content_type=kind)
    path = "/searches" if route == 1 else "/reports"
    return HostileRequest(name=name, path=path, body=_form(data), content_type=kind)


def _study(views: list[bytes]) -> bytes:
    name = b'--x\r\nContent-Disposition: form-data; name="study"\r\n\r\none\r\n'
    return _form(*views, texts=name * len(views))
