import io
import random
import struct
import threading
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from db.errors import NotFoundError, TooLargeError, UserError
from indexer.images.reader import (
    Limits,
    difference_hash,
    encode_png,
    hamming,
    read_pixels,
    read_radiograph,
    restore_size,
)
from tests.support.radiographs import draw_radiograph, similarity

RADIOGRAPH = draw_radiograph(1)
SMALL = draw_radiograph(2, size=(96, 80))


def encoded(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(out, kind, **options)
    return out.getvalue()


def colour_of(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image).convert("RGB")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_eight_bit_grey_passes_unchanged(kind: str) -> None:
    image = read_radiograph(encoded(RADIOGRAPH, kind))
    assert np.array_equal(image.pixels, RADIOGRAPH)
    assert image.pixels.dtype == np.uint8
    assert image.view_position is None
    assert image.notes == ()


def test_equal_channels_give_the_same_grey_without_a_note() -> None:
    image = read_radiograph(encoded(colour_of(RADIOGRAPH), "PNG"))
    assert np.array_equal(image.pixels, RADIOGRAPH)
    assert image.notes == ()


def test_colour_becomes_luminance_and_is_noted() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[:, :32, 0] = 255
    image = read_radiograph(encoded(red, "PNG"))
    assert image.pixels[0, 0] == 76
    assert image.notes == ("colour turned to grey",)


def test_a_palette_is_looked_up() -> None:
    image = Image.fromarray(255 - RADIOGRAPH).convert("P")
    image.putpalette([255 - level for level in range(256) for _ in range(3)])
    image.frombytes((255 - RADIOGRAPH).tobytes())
    assert np.array_equal(read_radiograph(encoded(image, "PNG")).pixels, RADIOGRAPH)


def test_one_bit_images_are_black_and_white() -> None:
    image = read_radiograph(encoded(Image.fromarray(RADIOGRAPH).convert("1"), "PNG"))
    assert set(np.unique(image.pixels)) == {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_black(mode: str) -> None:
    image = Image.fromarray(RADIOGRAPH).convert(mode)
    alpha = np.full(RADIOGRAPH.shape, 255, np.uint8)
    alpha[:100] = 0
    image.putalpha(Image.fromarray(alpha))
    radiograph = read_radiograph(encoded(image, "PNG"))
    assert not radiograph.pixels[:100].any()
    assert np.array_equal(radiograph.pixels[100:], RADIOGRAPH[100:])
    assert radiograph.notes == ("transparent parts made black",)


def test_a_full_alpha_channel_changes_nothing() -> None:
    image = read_radiograph(encoded(Image.fromarray(RADIOGRAPH).convert("RGBA"), "PNG"))
    assert np.array_equal(image.pixels, RADIOGRAPH)
    assert image.notes == ()


@pytest.mark.parametrize("scale", [1, 16, 257])
def test_sixteen_bit_grey_fills_eight_bits_whatever_part_of_the_range_it_uses(scale: int) -> None:
    image = read_radiograph(encoded(RADIOGRAPH.astype(np.uint16) * scale, "PNG"))
    assert image.pixels.dtype == np.uint8
    assert similarity(image.pixels, RADIOGRAPH) > 0.999
    assert image.pixels.min() == 0
    assert image.pixels.max() == 255


def test_a_few_extreme_values_do_not_set_the_contrast() -> None:
    deep = RADIOGRAPH.astype(np.uint16) * 16
    deep[:3, :5] = 65535
    assert similarity(read_radiograph(encoded(deep, "PNG")).pixels[10:], RADIOGRAPH[10:]) > 0.999


def test_a_small_bright_object_on_an_even_ground_stays_visible() -> None:
    deep = np.full((200, 200), 1000, np.uint16)
    deep[50, 50] = 3000
    image = read_radiograph(encoded(deep, "PNG"))
    assert (image.pixels[50, 50], image.pixels[0, 0]) == (255, 0)


def test_deep_tiff_with_white_as_zero_is_inverted() -> None:
    deep = 65535 - RADIOGRAPH.astype(np.uint16) * 257
    image = read_radiograph(encoded(deep, "TIFF", tiffinfo={262: 0}))
    assert similarity(image.pixels, RADIOGRAPH) > 0.999


def test_floating_point_tiff_with_holes_is_read() -> None:
    values = RADIOGRAPH.astype(np.float32) / 255
    values[0, 0] = np.nan
    image = read_radiograph(encoded(values, "TIFF"))
    assert similarity(image.pixels, RADIOGRAPH) > 0.999


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("scale", [16, 257])
def test_sixteen_bits_per_channel_keep_their_depth(channels: int, scale: int) -> None:
    values = np.stack([RADIOGRAPH.astype(np.uint16) * scale] * channels, axis=2)
    if channels in (2, 4):
        values[..., -1] = 65535
    image = read_radiograph(imagecodecs.png_encode(values))
    assert np.array_equal(image.pixels, read_radiograph(encoded(values[..., 0], "PNG")).pixels)
    assert int(image.pixels.max()) == 255
    assert image.notes == ("16-bit values scaled to 8 bits",)


def test_sixteen_bit_colour_is_read_as_an_array_and_from_tiff_and_ppm() -> None:
    values = np.stack([RADIOGRAPH.astype(np.uint16) * 16] * 3, axis=2)
    values[100:150, 100:150, 0] = 65535
    tiff, height, width = io.BytesIO(), *RADIOGRAPH.shape
    tifffile.imwrite(tiff, values, photometric="rgb")
    ppm = b"P6\n# drawn\n%d %d\n65535\n" % (width, height) + values.astype(">u2").tobytes()
    expected = read_radiograph(imagecodecs.png_encode(values))
    assert "colour turned to grey" in expected.notes
    for image in (read_pixels(values), read_radiograph(tiff.getvalue()), read_radiograph(ppm)):
        assert np.array_equal(image.pixels, expected.pixels)


@pytest.mark.parametrize("channels", [2, 4])
def test_transparent_parts_of_sixteen_bit_images_are_black(channels: int) -> None:
    values = np.stack([RADIOGRAPH.astype(np.uint16) * 257] * channels, axis=2)
    values[..., -1] = 65535
    values[:50, :, -1] = 0
    image = read_radiograph(imagecodecs.png_encode(values))
    assert image.pixels[:50].max() == 0
    assert "transparent parts made black" in image.notes


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits", "zstd"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_compressed_tiff_is_read(dtype: type, compression: str, photometric: str) -> None:
    out, plain = io.BytesIO(), io.BytesIO()
    values = RADIOGRAPH.astype(dtype) * (16 if dtype == np.uint16 else 1)
    tifffile.imwrite(out, values, compression=compression, photometric=photometric)
    tifffile.imwrite(plain, values, photometric=photometric)
    assert np.array_equal(
        read_radiograph(out.getvalue()).pixels, read_radiograph(plain.getvalue()).pixels
    )


def test_tiff_compressed_by_jpeg_or_in_colour_is_read() -> None:
    out = io.BytesIO()
    tifffile.imwrite(out, RADIOGRAPH, compression="jpeg")
    assert similarity(read_radiograph(out.getvalue()).pixels, RADIOGRAPH) > 0.99
    colour = encoded(colour_of(RADIOGRAPH), "TIFF", compression="tiff_lzw")
    assert np.array_equal(read_radiograph(colour).pixels, RADIOGRAPH)
    black_and_white = Image.fromarray(RADIOGRAPH).convert("1")
    fax = encoded(black_and_white, "TIFF", compression="group4")
    assert np.array_equal(
        read_radiograph(fax).pixels, read_radiograph(encoded(black_and_white, "PNG")).pixels
    )


def test_a_compressed_tiff_is_turned_as_it_says_and_a_bomb_or_a_stack_refused() -> None:
    out = io.BytesIO()
    turned = np.rot90(RADIOGRAPH, 2)
    orientation = [(274, "H", 1, 3, True)]
    tifffile.imwrite(out, turned, compression="lzw", extratags=orientation)
    assert np.array_equal(read_radiograph(out.getvalue()).pixels, RADIOGRAPH)
    stack = io.BytesIO()
    tifffile.imwrite(
        stack, np.stack([SMALL] * 3), compression="lzw", photometric="minisblack", metadata=None
    )
    with pytest.raises(UserError, match="several images"):
        read_radiograph(stack.getvalue())
    with pytest.raises(TooLargeError, match="limit"):
        read_radiograph(out.getvalue(), limits=Limits(max_pixels=1000))


@pytest.mark.parametrize("kind", ["jp2", "j2k"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_jpeg_2000_is_read(kind: str, dtype: type) -> None:
    values = RADIOGRAPH.astype(dtype) * (1 if dtype == np.uint8 else 16)
    data = imagecodecs.jpeg2k_encode(values, codecformat=kind)
    assert similarity(read_radiograph(data).pixels, RADIOGRAPH) > 0.999
    with pytest.raises(TooLargeError, match="limit"):
        read_radiograph(data, limits=Limits(max_pixels=1000))


def test_netpbm_is_read() -> None:
    height, width = RADIOGRAPH.shape
    plain = b"P5 %d %d 255\n" % (width, height) + RADIOGRAPH.tobytes()
    assert np.array_equal(read_radiograph(plain).pixels, RADIOGRAPH)
    deep = (RADIOGRAPH.astype(np.uint16) * 16).astype(">u2").tobytes()
    image = read_radiograph(b"P5 %d %d 4095\n" % (width, height) + deep)
    assert similarity(image.pixels, RADIOGRAPH) > 0.99
    assert int(image.pixels.max()) == 255


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg_is_read(options: dict[str, object]) -> None:
    image = read_radiograph(encoded(RADIOGRAPH, "JPEG", quality=95, **options))
    assert similarity(image.pixels, RADIOGRAPH) > 0.999


def test_cmyk_jpeg_keeps_lungs_dark() -> None:
    image = read_radiograph(encoded(colour_of(RADIOGRAPH).convert("CMYK"), "JPEG", quality=95))
    assert similarity(image.pixels, RADIOGRAPH) > 0.99


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    undo = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a.T, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(undo(RADIOGRAPH))
    image = read_radiograph(encoded(stored, "JPEG", quality=95, exif=exif.tobytes()))
    assert image.pixels.shape == RADIOGRAPH.shape
    assert similarity(image.pixels, RADIOGRAPH) > 0.999
    assert bool(image.notes) == (orientation > 1)


def test_broken_exif_does_not_lose_the_image() -> None:
    data = encoded(RADIOGRAPH, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff")
    assert read_radiograph(data).pixels.shape == RADIOGRAPH.shape


def test_the_type_is_read_from_the_content_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(encoded(RADIOGRAPH, "PNG"))
    assert np.array_equal(read_radiograph(path).pixels, RADIOGRAPH)
    assert np.array_equal(read_radiograph(str(path)).pixels, RADIOGRAPH)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"findings: none\n" * 40, "not an image"),
        (b"%PDF-1.7 " + bytes(500), "not an image"),
        (b"PK\x03\x04" + bytes(500), "not an image"),
        (encoded(RADIOGRAPH[:20], "PNG"), "at least 32"),
        (encoded(np.full((64, 64), 7, np.uint8), "PNG"), "blank"),
        (encoded(np.full((64, 64), 700, np.uint16), "PNG"), "blank"),
    ],
)
def test_other_files_are_refused_with_their_name_and_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read_radiograph(data, name="upload.png")
    assert str(caught.value).startswith("upload.png ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_several_frames_are_refused(kind: str) -> None:
    frames = [Image.fromarray(draw_radiograph(seed, size=(96, 80))) for seed in range(2)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match="several images"):
        read_radiograph(data)


def test_missing_files_and_directories_have_their_own_errors(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.png does not exist"):
        read_radiograph(tmp_path / "gone.png")
    with pytest.raises(UserError, match="is a directory"):
        read_radiograph(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        read_radiograph("x" * 5000)
    with pytest.raises(NotFoundError):
        read_radiograph("image\0.png")


def test_control_characters_in_a_file_name_are_replaced() -> None:
    with pytest.raises(UserError) as caught:
        read_radiograph(b"", name="a\x1b[31m\nb" + "c" * 500)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_file_above_the_limit_of_bytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(encoded(RADIOGRAPH, "PNG"))
    size = f"{path.stat().st_size:,}"
    for source in (path, path.read_bytes()):
        with pytest.raises(TooLargeError, match=f"{size} bytes, the limit is 1,000"):
            read_radiograph(source, limits=Limits(max_bytes=1000))


def png_of_declared_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10_100, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_before_decoding(side: int) -> None:
    with pytest.raises(TooLargeError, match="limit"):
        read_radiograph(png_of_declared_size(side, side))


def test_a_text_bomb_in_a_png_does_no_harm() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 80_000_000, zip=True)
    data = encoded(SMALL, "PNG", pnginfo=info)
    assert len(data) < 200_000
    with pytest.raises(UserError, match="damaged"):
        read_radiograph(data)


SAMPLES = {
    "png": encoded(SMALL, "PNG"),
    "deep png": encoded(SMALL.astype(np.uint16) * 64, "PNG"),
    "jpeg": encoded(SMALL, "JPEG"),
    "progressive jpeg": encoded(SMALL, "JPEG", progressive=True),
    "webp": encoded(SMALL, "WEBP"),
    "tiff": encoded(SMALL, "TIFF"),
    "compressed tiff": encoded(SMALL, "TIFF", compression="tiff_lzw"),
    "deep colour png": imagecodecs.png_encode(np.stack([SMALL.astype(np.uint16) * 64] * 3, axis=2)),
    "jpeg 2000": imagecodecs.jpeg2k_encode(SMALL, codecformat="jp2"),
    "pgm": encoded(SMALL, "PPM"),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_truncated_file_is_an_error_never_half_an_image(kind: str) -> None:
    data = SAMPLES[kind]
    whole = read_radiograph(data).pixels
    for length in {*range(1, len(data), 37), *range(len(data) - 12, len(data))}:
        try:
            image = read_radiograph(data[:length])
        except UserError:
            continue
        assert np.array_equal(image.pixels, whole), f"{length} of {len(data)} bytes"


@pytest.mark.parametrize("kind", SAMPLES)
def test_damaged_bytes_give_an_image_or_one_clear_error(kind: str) -> None:
    generator = random.Random(kind)
    for _ in range(150):
        data = bytearray(SAMPLES[kind])
        for _ in range(generator.choice([1, 3, 10])):
            data[generator.randrange(min(len(data), generator.choice([64, 9999])))] ^= (
                generator.randrange(1, 256)
            )
        try:
            image = read_radiograph(bytes(data))
        except UserError as error:
            assert str(error).startswith("the image ")
        else:
            assert image.pixels.ndim == 2
            assert image.pixels.dtype == np.uint8


def test_reading_in_threads_leaves_the_warning_filters_as_they_were() -> None:
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [read_radiograph(SAMPLES["jpeg"]) for _ in range(30)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


def test_the_hash_is_of_shape_and_pixels_alone() -> None:
    as_png, as_bmp = (
        read_radiograph(encoded(RADIOGRAPH, "PNG")),
        read_radiograph(encoded(RADIOGRAPH, "BMP")),
    )
    turned = read_radiograph(encoded(np.ascontiguousarray(RADIOGRAPH.reshape(420, 512)), "PNG"))
    assert as_png.sha256 == as_bmp.sha256
    assert as_png.sha256 != turned.sha256
    assert len(as_png.sha256) == 64


def test_the_difference_hash_marks_what_gets_darker_to_the_right() -> None:
    falling = np.tile(np.arange(180, 0, -1, dtype=np.uint8), (80, 1))
    assert difference_hash(falling) == 2**64 - 1
    assert difference_hash(falling[:, ::-1]) == 0
    corner = np.zeros((80, 90), np.uint8)
    corner[:10, :10] = 200
    assert difference_hash(corner) == 1 << 63


def test_near_duplicates_have_similar_hashes_and_other_images_do_not() -> None:
    own = difference_hash(RADIOGRAPH)
    smaller = np.asarray(Image.fromarray(RADIOGRAPH).resize((210, 256)))
    recoded = read_radiograph(encoded(RADIOGRAPH, "JPEG", quality=60)).pixels
    assert hamming(own, difference_hash(smaller)) <= 3
    assert hamming(own, difference_hash(recoded)) <= 3
    assert hamming(own, difference_hash((RADIOGRAPH * 0.8).astype(np.uint8))) <= 3
    assert hamming(own, difference_hash(draw_radiograph(1, view="LATERAL"))) > 8


def test_the_original_aspect_ratio_is_restored() -> None:
    squashed = np.asarray(Image.fromarray(RADIOGRAPH).resize((256, 256)))
    restored = restore_size(squashed, 420, 512)
    assert restored.shape == (256, 210)
    assert similarity(restored, np.asarray(Image.fromarray(RADIOGRAPH).resize((210, 256)))) > 0.99
    assert restore_size(squashed, 3000, 2000).shape == (171, 256)
    assert restore_size(squashed, 500, 500) is squashed


def test_an_impossible_original_size_is_refused() -> None:
    with pytest.raises(UserError, match="0 x 512"):
        restore_size(RADIOGRAPH, 0, 512)


def test_an_image_is_unchanged_by_png() -> None:
    assert np.array_equal(read_radiograph(encode_png(RADIOGRAPH)).pixels, RADIOGRAPH)
