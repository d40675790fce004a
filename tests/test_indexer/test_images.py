import io
import random
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from db.errors import NotFoundError, TooLargeError, UserError
from indexer.images.reader import (
    Limits,
    difference_hash,
    encode_png,
    hamming,
    read_film,
    restore_size,
)
from tests.support.radiographs import draw_film, likeness

FILM = draw_film(1)
SMALL = draw_film(2, size=(96, 80))


def encoded(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(out, kind, **options)
    return out.getvalue()


def colour_of(film: np.ndarray) -> Image.Image:
    return Image.fromarray(film).convert("RGB")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_eight_bit_grey_passes_unchanged(kind: str) -> None:
    film = read_film(encoded(FILM, kind))
    assert np.array_equal(film.pixels, FILM)
    assert film.pixels.dtype == np.uint8
    assert film.view_position is None
    assert film.notes == ()


def test_equal_channels_give_the_same_grey_without_a_note() -> None:
    film = read_film(encoded(colour_of(FILM), "PNG"))
    assert np.array_equal(film.pixels, FILM)
    assert film.notes == ()


def test_colour_becomes_luminance_and_is_noted() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[:, :32, 0] = 255
    film = read_film(encoded(red, "PNG"))
    assert film.pixels[0, 0] == 76
    assert film.notes == ("colour turned to grey",)


def test_a_palette_is_looked_up() -> None:
    image = Image.fromarray(255 - FILM).convert("P")
    image.putpalette([255 - level for level in range(256) for _ in range(3)])
    image.frombytes((255 - FILM).tobytes())
    assert np.array_equal(read_film(encoded(image, "PNG")).pixels, FILM)


def test_one_bit_images_are_black_and_white() -> None:
    film = read_film(encoded(Image.fromarray(FILM).convert("1"), "PNG"))
    assert set(np.unique(film.pixels)) == {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_black(mode: str) -> None:
    image = Image.fromarray(FILM).convert(mode)
    alpha = np.full(FILM.shape, 255, np.uint8)
    alpha[:100] = 0
    image.putalpha(Image.fromarray(alpha))
    film = read_film(encoded(image, "PNG"))
    assert not film.pixels[:100].any()
    assert np.array_equal(film.pixels[100:], FILM[100:])
    assert film.notes == ("transparent parts made black",)


def test_a_full_alpha_channel_changes_nothing() -> None:
    film = read_film(encoded(Image.fromarray(FILM).convert("RGBA"), "PNG"))
    assert np.array_equal(film.pixels, FILM)
    assert film.notes == ()


@pytest.mark.parametrize("scale", [1, 16, 257])
def test_sixteen_bit_grey_fills_eight_bits_whatever_part_of_the_range_it_uses(scale: int) -> None:
    film = read_film(encoded(FILM.astype(np.uint16) * scale, "PNG"))
    assert film.pixels.dtype == np.uint8
    assert likeness(film.pixels, FILM) > 0.999
    assert film.pixels.min() == 0
    assert film.pixels.max() == 255


def test_a_few_extreme_values_do_not_set_the_contrast() -> None:
    deep = FILM.astype(np.uint16) * 16
    deep[:3, :5] = 65535
    assert likeness(read_film(encoded(deep, "PNG")).pixels[10:], FILM[10:]) > 0.999


def test_a_small_bright_object_on_an_even_ground_stays_visible() -> None:
    deep = np.full((200, 200), 1000, np.uint16)
    deep[50, 50] = 3000
    film = read_film(encoded(deep, "PNG"))
    assert (film.pixels[50, 50], film.pixels[0, 0]) == (255, 0)


def test_deep_tiff_with_white_as_zero_is_inverted() -> None:
    deep = 65535 - FILM.astype(np.uint16) * 257
    film = read_film(encoded(deep, "TIFF", tiffinfo={262: 0}))
    assert likeness(film.pixels, FILM) > 0.999


def test_floating_point_tiff_with_holes_is_read() -> None:
    values = FILM.astype(np.float32) / 255
    values[0, 0] = np.nan
    film = read_film(encoded(values, "TIFF"))
    assert likeness(film.pixels, FILM) > 0.999


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg_is_read(options: dict[str, object]) -> None:
    film = read_film(encoded(FILM, "JPEG", quality=95, **options))
    assert likeness(film.pixels, FILM) > 0.999


def test_cmyk_jpeg_keeps_lungs_dark() -> None:
    film = read_film(encoded(colour_of(FILM).convert("CMYK"), "JPEG", quality=95))
    assert likeness(film.pixels, FILM) > 0.99


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
    stored = np.ascontiguousarray(undo(FILM))
    film = read_film(encoded(stored, "JPEG", quality=95, exif=exif.tobytes()))
    assert film.pixels.shape == FILM.shape
    assert likeness(film.pixels, FILM) > 0.999
    assert bool(film.notes) == (orientation > 1)


def test_broken_exif_does_not_lose_the_image() -> None:
    data = encoded(FILM, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff")
    assert read_film(data).pixels.shape == FILM.shape


def test_the_type_is_told_from_the_content_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(encoded(FILM, "PNG"))
    assert np.array_equal(read_film(path).pixels, FILM)
    assert np.array_equal(read_film(str(path)).pixels, FILM)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"findings: none\n" * 40, "not an image"),
        (b"%PDF-1.7 " + bytes(500), "not an image"),
        (b"PK\x03\x04" + bytes(500), "not an image"),
        (encoded(FILM[:20], "PNG"), "at least 32"),
        (encoded(np.full((64, 64), 7, np.uint8), "PNG"), "blank"),
        (encoded(np.full((64, 64), 700, np.uint16), "PNG"), "blank"),
        (encoded(FILM, "TIFF", compression="tiff_lzw"), "compressed TIFF"),
    ],
)
def test_what_is_no_radiograph_is_refused_with_the_name_and_the_reason(
    data: bytes, words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read_film(data, name="upload.png")
    assert str(caught.value).startswith("upload.png ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_several_frames_are_refused(kind: str) -> None:
    frames = [Image.fromarray(draw_film(seed, size=(96, 80))) for seed in range(2)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match="several images"):
        read_film(data)


def test_missing_files_and_directories_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.png does not exist"):
        read_film(tmp_path / "gone.png")
    with pytest.raises(UserError, match="is a directory"):
        read_film(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        read_film("x" * 5000)
    with pytest.raises(NotFoundError):
        read_film("film\0.png")


def test_a_name_from_a_stranger_cannot_write_control_characters() -> None:
    with pytest.raises(UserError) as caught:
        read_film(b"", name="a\x1b[31m\nb" + "c" * 500)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_file_above_the_limit_of_bytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(encoded(FILM, "PNG"))
    size = f"{path.stat().st_size:,}"
    for source in (path, path.read_bytes()):
        with pytest.raises(TooLargeError, match=f"{size} bytes, the limit is 1,000"):
            read_film(source, limits=Limits(max_bytes=1000))


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
        read_film(png_of_declared_size(side, side))


def test_a_text_bomb_in_a_png_is_refused_or_ignored() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 80_000_000, zip=True)
    data = encoded(SMALL, "PNG", pnginfo=info)
    assert len(data) < 200_000
    with pytest.raises(UserError, match="damaged"):
        read_film(data)


SAMPLES = {
    "png": encoded(SMALL, "PNG"),
    "deep png": encoded(SMALL.astype(np.uint16) * 64, "PNG"),
    "jpeg": encoded(SMALL, "JPEG"),
    "progressive jpeg": encoded(SMALL, "JPEG", progressive=True),
    "webp": encoded(SMALL, "WEBP"),
    "tiff": encoded(SMALL, "TIFF"),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_truncated_file_is_an_error_never_half_an_image(kind: str) -> None:
    data = SAMPLES[kind]
    whole = read_film(data).pixels
    for length in {*range(1, len(data), 37), *range(len(data) - 12, len(data))}:
        try:
            film = read_film(data[:length])
        except UserError:
            continue
        assert np.array_equal(film.pixels, whole), f"{length} of {len(data)} bytes"


@pytest.mark.parametrize("kind", SAMPLES)
def test_damaged_bytes_give_a_film_or_one_clear_error(kind: str) -> None:
    generator = random.Random(kind)
    for _ in range(150):
        data = bytearray(SAMPLES[kind])
        for _ in range(generator.choice([1, 3, 10])):
            data[generator.randrange(min(len(data), generator.choice([64, 9999])))] ^= (
                generator.randrange(1, 256)
            )
        try:
            film = read_film(bytes(data))
        except UserError as error:
            assert str(error).startswith("the image ")
        else:
            assert film.pixels.ndim == 2
            assert film.pixels.dtype == np.uint8


def test_reading_in_threads_leaves_the_warning_filters_as_they_were() -> None:
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [read_film(SAMPLES["jpeg"]) for _ in range(30)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


def test_the_hash_is_of_shape_and_pixels_alone() -> None:
    as_png, as_bmp = read_film(encoded(FILM, "PNG")), read_film(encoded(FILM, "BMP"))
    turned = read_film(encoded(np.ascontiguousarray(FILM.reshape(420, 512)), "PNG"))
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


def test_near_copies_hash_alike_and_other_films_do_not() -> None:
    own = difference_hash(FILM)
    smaller = np.asarray(Image.fromarray(FILM).resize((210, 256)))
    recoded = read_film(encoded(FILM, "JPEG", quality=60)).pixels
    assert hamming(own, difference_hash(smaller)) <= 3
    assert hamming(own, difference_hash(recoded)) <= 3
    assert hamming(own, difference_hash((FILM * 0.8).astype(np.uint8))) <= 3
    assert hamming(own, difference_hash(draw_film(1, view="LATERAL"))) > 8


def test_a_squashed_film_gets_its_aspect_ratio_back() -> None:
    squashed = np.asarray(Image.fromarray(FILM).resize((256, 256)))
    restored = restore_size(squashed, 420, 512)
    assert restored.shape == (256, 210)
    assert likeness(restored, np.asarray(Image.fromarray(FILM).resize((210, 256)))) > 0.99
    assert restore_size(squashed, 3000, 2000).shape == (171, 256)
    assert restore_size(squashed, 500, 500) is squashed


def test_an_impossible_original_size_is_refused() -> None:
    with pytest.raises(UserError, match="0 x 512"):
        restore_size(FILM, 0, 512)


def test_a_film_survives_the_way_through_png() -> None:
    assert np.array_equal(read_film(encode_png(FILM)).pixels, FILM)
