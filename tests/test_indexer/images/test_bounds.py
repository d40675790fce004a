"""Small files that would take a decoder gigabytes or minutes are refused by what they declare."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from db.errors import TooLargeError, UserError
from indexer.images.deep_grey import deep_colour
from indexer.images.radiograph import Limits
from indexer.images.reader import encode_png, read_pixels, read_radiograph
from tests.support.dicoms import write_dicom
from tests.support.radiographs import draw_radiograph

ITEM, ITEM_END, SEQUENCE_END = (
    struct.pack("<HHI", 0xFFFE, one, 0) for one in (0xE000, 0xE00D, 0xE0DD)
)
UNDEFINED = b"\xff\xff\xff\xff"
OPEN_ITEM = struct.pack("<HH", 0xFFFE, 0xE000) + UNDEFINED
EXPLICIT = struct.pack("<HH2sH", 0x0040, 0x0555, b"SQ", 0) + UNDEFINED
IMPLICIT = struct.pack("<HH", 0x0040, 0x0555) + UNDEFINED


def with_sequence(path: Path, sequence: bytes, *, implicit: bool = False) -> bytes:
    """A radiograph whose header has this sequence (0040,0555), delimiter left out."""
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    image = draw_radiograph(1, size=(64, 48))
    data = write_dicom(
        path, image, syntax=syntax, AcquisitionContextSequence=Sequence()
    ).read_bytes()
    tag = struct.pack("<HH", 0x0040, 0x0555)
    start = data.index(tag)
    length = 8 if implicit else 12
    head = IMPLICIT if implicit else EXPLICIT
    return data[:start] + head + sequence + SEQUENCE_END + data[start + length :]


@pytest.mark.parametrize("implicit", [False, True])
def test_a_few_items_are_read(tmp_path: Path, implicit: bool) -> None:
    data = with_sequence(tmp_path / "x.dcm", ITEM * 1000, implicit=implicit)
    assert read_radiograph(data).pixels.shape == (64, 48)


@pytest.mark.parametrize("implicit", [False, True])
def test_more_elements_than_a_radiograph_has_are_refused(tmp_path: Path, implicit: bool) -> None:
    data = with_sequence(tmp_path / "x.dcm", ITEM * 150_000, implicit=implicit)
    with pytest.raises(TooLargeError, match="elements"):
        read_radiograph(data)


def test_items_of_a_sequence_of_stated_length_are_counted(tmp_path: Path) -> None:
    items = ITEM * 150_000
    head = struct.pack("<HH2sHI", 0x0040, 0x0555, b"SQ", 0, len(items))
    data = with_sequence(tmp_path / "x.dcm", b"")
    data = data.replace(EXPLICIT + SEQUENCE_END, head + items)
    with pytest.raises(TooLargeError, match="elements"):
        read_radiograph(data)


def test_fragments_are_counted(tmp_path: Path) -> None:
    image = draw_radiograph(1, size=(64, 48))
    path = write_dicom(tmp_path / "x.dcm", image, syntax=RLELossless)
    data = path.read_bytes()
    data = data[: -len(SEQUENCE_END)] + ITEM * 150_000 + SEQUENCE_END
    with pytest.raises(TooLargeError, match="elements"):
        read_radiograph(data)


@pytest.mark.parametrize("implicit", [False, True])
def test_items_deep_within_items_are_refused(tmp_path: Path, implicit: bool) -> None:
    head = IMPLICIT if implicit else EXPLICIT
    depth = 120
    nested = (OPEN_ITEM + head) * depth + (SEQUENCE_END + ITEM_END) * depth
    with pytest.raises(TooLargeError, match="deep"):
        read_radiograph(with_sequence(tmp_path / "x.dcm", nested, implicit=implicit))


@pytest.mark.parametrize("preamble", [True, False])
def test_a_deflated_data_set_is_inflated_within_the_limits(tmp_path: Path, preamble: bool) -> None:
    image = draw_radiograph(1, size=(64, 48))
    data = write_dicom(
        tmp_path / "x.dcm", image, syntax=DeflatedExplicitVRLittleEndian
    ).read_bytes()
    (length,) = struct.unpack_from("<I", data, 140)  # of the file meta group
    meta = data[: 144 + length] if preamble else data[132 : 144 + length]
    for inflated, word in (
        (b"\0" * 3_000_000, "inflates"),
        (EXPLICIT + ITEM * 150_000, "elements"),
    ):
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        bomb = meta + deflater.compress(inflated) + deflater.flush()
        assert len(bomb) < 10_000
        with pytest.raises(TooLargeError, match=word):
            read_radiograph(bomb, limits=Limits(max_bytes=2_000_000))


def a_webp(width: int, height: int) -> bytes:
    """Lossless, of 32 x 32, with another size in its header."""
    out = io.BytesIO()
    Image.fromarray(draw_radiograph(1, size=(32, 32))).save(out, "WEBP", lossless=True)
    data = bytearray(out.getvalue())
    assert data[12:16] == b"VP8L"
    (bits,) = struct.unpack_from("<I", data, 21)
    bits = bits >> 28 << 28 | height - 1 << 14 | width - 1
    data[21:25] = struct.pack("<I", bits)
    return bytes(data)


def test_a_webp_is_measured_before_its_canvas_is_allocated() -> None:
    assert read_radiograph(a_webp(32, 32)).pixels.shape == (32, 32)
    with pytest.raises(TooLargeError, match="16000 x 5000"):
        read_radiograph(a_webp(16_000, 5_000))
    extended = b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0" + (15_999).to_bytes(3, "little") * 2
    with pytest.raises(TooLargeError, match="16000 x 16000"):
        read_radiograph(extended)


def test_pixels_count_by_their_bytes() -> None:
    """90 megapixels of 16-bit colour; 90 of grey are within the limit, and damaged."""
    for colour, too_large in ((2, True), (0, False)):
        head = struct.pack(">IIBBBBB", 10_000, 9_000, 16, colour, 0, 0, 0)
        chunk = b"IHDR" + head
        data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
        data += struct.pack(">I", zlib.crc32(chunk)) + b"\0" * 50
        with pytest.raises(UserError) as refused:
            read_radiograph(data)
        assert isinstance(refused.value, TooLargeError) is too_large


class CountingBytes(io.BytesIO):
    """Counts how often it is read from."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        CountingBytes.reads += 1
        return super().read(size)


def a_tiff(directories: int, *, tile: int | None = None) -> bytes:
    """One image of 64 x 64 and thumbnails of it, all with the same pixels."""
    pixels = draw_radiograph(1, size=(64, 64)).tobytes()
    data = bytearray(b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels)
    for number in range(directories):
        tags = [(254, int(number > 0)), (256, 64), (257, 64), (258, 8), (259, 1), (262, 1)]
        if tile is None:
            tags += [(273, 8), (277, 1), (278, 64), (279, len(pixels))]
        else:
            tags[4] = (259, 8)
            tags += [(277, 1), (322, tile), (323, tile), (324, 8), (325, len(pixels))]
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        following = len(data) + 2 + len(entries) + 4
        following = 0 if number == directories - 1 else following
        data += struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return bytes(data)


def test_only_the_first_directories_of_a_tiff_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_radiograph(a_tiff(1)).pixels.shape == (64, 64)
    data = a_tiff(20_000)
    monkeypatch.setattr(io, "BytesIO", CountingBytes)
    CountingBytes.reads = 0
    with pytest.raises(UserError, match="several images"):
        read_radiograph(data)
    assert 0 < CountingBytes.reads < 1_000


def test_the_tiles_of_a_tiff_are_measured() -> None:
    with pytest.raises(TooLargeError, match="40000 x 40000"):
        read_radiograph(a_tiff(1, tile=40_000))


def test_deep_colour_is_converted_alike_in_blocks() -> None:
    """More rows than a block has; grey levels of colour, with and without alpha."""
    random = np.random.default_rng(1)
    values = random.integers(0, 65536, (700, 40, 4), dtype=np.uint16)
    grey = np.rint(values[..., :3] @ np.array([0.299, 0.587, 0.114])).astype(np.uint16)
    whole, _ = deep_colour(values[..., :3])
    (alone, _) = deep_colour(np.repeat(grey[..., None], 3, axis=2))
    assert np.array_equal(whole, alone)
    clear = values.copy()
    clear[..., 3] = 65535
    assert np.array_equal(deep_colour(clear)[0], whole)
    clear[:350, :, 3] = 0
    assert (deep_colour(clear)[0][:350] == deep_colour(clear)[0].min()).all()


def test_an_image_larger_than_any_detector_is_reduced() -> None:
    pixels = draw_radiograph(1, size=(300, 200))
    limits = Limits(max_kept_pixels=20_000)
    for read in (
        read_radiograph(encode_png(pixels), limits=limits),
        read_pixels(pixels, limits=limits),
    ):
        assert read.pixels.shape == (150, 100)
        assert read.notes == ("reduced from 200 x 300 to 100 x 150 pixels",)
        assert abs(float(read.pixels.mean()) - float(pixels.mean())) < 1
        assert read.pixels[0, 0] == round(float(pixels[:2, :2].mean()))
    narrow = read_pixels(draw_radiograph(1, size=(40, 3000)), limits=limits)
    assert narrow.pixels.shape == (40, 1000)
    assert read_pixels(pixels, limits=Limits(max_kept_pixels=60_000)).pixels.shape == (300, 200)
