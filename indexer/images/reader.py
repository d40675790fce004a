"""Read any file with one radiograph as an 8-bit grey image with dark lungs.

    image = read_radiograph("chest.dcm")
    image.pixels                      # (height, width) uint8

The type of a file is determined from its content, never from its name. Whatever a file declares is
checked against ``Limits`` before it is used. Eight-bit images pass unchanged; deeper ones are
scaled linearly between the 0.1st and 99.9th percentiles of their values. Images of more than 20
megapixels are reduced.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from db.errors import NotFoundError, UserError
from indexer.images import dicom
from indexer.images.deep_grey import colour_note, deep_colour, deep_grey
from indexer.images.deep_raster import Raster, read_array, webp_size
from indexer.images.radiograph import (
    Grey,
    LargeImageError,
    Limits,
    Radiograph,
    check_contrast,
    out_of_memory,
    quiet_decoders,
    reduced,
    restore_size,
)

__all__ = [
    "Limits",
    "Radiograph",
    "difference_hash",
    "encode_png",
    "hamming",
    "read_pixels",
    "read_radiograph",
    "restore_size",
]

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM")
_EXIF_ORIENTATION = 0x0112
_EXIF_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WEBP_PIXEL_BYTES = 12
"""Two canvases of the decoder and the image, four bytes each, allocated when the file is opened."""
_TIFF_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_NOTICEABLE_COLOUR = 24  # difference of two channels, in grey levels, that exceeds JPEG noise


def read_radiograph(
    source: Path | str | bytes, *, name: str | None = None, limits: Limits | None = None
) -> Radiograph:
    """Decode one radiograph from a path or from the bytes of a file.

    ``name`` is used in messages instead of the path, or "the image" for bytes.

    Raises NotFoundError if there is no such file, TooLargeError above a limit, and UserError for
    anything but one readable radiograph: empty, truncated or damaged files, other
    formats, several frames, a CT slice, another part of the body, a blank image.
    """
    limits = limits or Limits()
    name = _printable(name or ("the image" if isinstance(source, bytes) else str(source)))
    data = source if isinstance(source, bytes) else _read_bytes(Path(source), name, limits)
    limits.check_bytes(len(data), name)
    with quiet_decoders():
        if dicom.is_dicom(data):
            image = dicom.decode(data, name, limits)
        elif limits.window is not None:
            raise UserError(f"{name} is not a DICOM file: it has no windows of its own")
        else:
            image = _decode_raster(data, name, limits)
    check_contrast(image.pixels, name)
    return reduced(image, limits)


def read_pixels(
    source: Image.Image | np.ndarray, *, name: str = "the image", limits: Limits | None = None
) -> Radiograph:
    """Convert a PIL image, or an array (height, width) of grey or (height, width, 3).

    Arrays may hold 8-bit or 16-bit integers, other integers or floats; they are read as a file
    with the same values would be. Raises TooLargeError and UserError as `read_radiograph` does.
    """
    limits = limits or Limits()
    if isinstance(source, np.ndarray) and source.ndim == 3 and source.dtype == np.uint16:
        limits.check_size(source.shape[1], source.shape[0], name)
        pixels, notes = deep_colour(source)
        check_contrast(pixels, name)
        deep = Radiograph(pixels=pixels, view_position=None, notes=tuple(notes))
        return reduced(deep, limits)
    image = source if isinstance(source, Image.Image) else _from_array(source, name)
    limits.check_size(*image.size, name)
    with quiet_decoders():
        try:
            radiograph = _upright(image)
        except Exception as error:  # a lazily opened file may be damaged
            raise UserError(f"{name} cannot be read as a radiograph: check the image") from error
    check_contrast(radiograph.pixels, name)
    return reduced(radiograph, limits)


def _from_array(values: np.ndarray, name: str) -> Image.Image:
    grey = values.ndim == 2
    if not grey and not (values.ndim == 3 and values.shape[2] in (3, 4)):
        raise UserError(
            f"{name} is an array of shape {values.shape}: give (height, width) or "
            "(height, width, 3)"
        )
    if grey and values.dtype.kind in "iuf" and values.dtype not in (np.uint8, np.uint16):
        if not np.isfinite(values).all():
            raise UserError(f"{name} holds values that are not finite: replace NaN and infinity")
        values = values.astype(np.float32)
    try:
        return Image.fromarray(values)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{name} is an array of {values.dtype}: give numbers, and colour as uint8"
        ) from error


def difference_hash(pixels: Grey) -> int:
    """Compute 64 bits that hardly change if an image is resized, recompressed or brightened.

    The image is averaged to 9 x 8 cells; a bit is set if a cell is brighter than its right
    neighbour; the top left bit is the highest. Near duplicates differ in few bits (``hamming``),
    but similar images of different people may too, so the hash alone proves nothing.
    """
    small = Image.fromarray(pixels).resize((9, 8), Image.Resampling.BOX)
    cells = np.asarray(small)  # (8, 9)
    bits = np.packbits(cells[:, :-1] > cells[:, 1:])
    return int.from_bytes(bits.tobytes(), "big")


def hamming(a: int, b: int) -> int:
    """Count the bits in which two difference hashes differ, 0 to 64."""
    return (a ^ b).bit_count()


def encode_png(pixels: Grey) -> bytes:
    """Encode a PNG for a browser, fast rather than small."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _printable(name: str) -> str:
    """Clean a file name, which is untrusted and appears in terminals, logs and pages."""
    cleaned = "".join(letter if letter.isprintable() else "?" for letter in name)
    return cleaned if len(cleaned) <= 200 else f"...{cleaned[-197:]}"


def _read_bytes(path: Path, name: str, limits: Limits) -> bytes:
    try:
        if path.is_dir():
            raise UserError(f"{name} is a directory: name one image file")
        if not path.is_file():
            raise NotFoundError(f"{name} does not exist: check the path of the image")
        limits.check_bytes(path.stat().st_size, name)
        with path.open("rb") as file:
            return file.read(limits.max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a possible path"
        raise UserError(f"{name} cannot be read ({reason}): check the file") from error


def _decode_raster(data: bytes, name: str, limits: Limits) -> Radiograph:
    try:
        raster = read_array(data, name, limits)
        if raster is not None:
            pixels, notes = _grey_values(raster)
            return _turned(pixels, raster.orientation, notes)
        if (canvas := webp_size(data)) is not None:
            limits.check_size(*canvas, name, pixel_bytes=_WEBP_PIXEL_BYTES)
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            limits.check_size(*image.size, name, pixel_bytes=_pixel_bytes(image))
            if image.format != "MPO" and getattr(image, "is_animated", False):
                raise UserError(f"{name} holds several images: send one radiograph per file")
            return _upright(image)
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(
            f"{name} is not an image that can be read here: send PNG, JPEG, JPEG 2000, TIFF, BMP, "
            "WebP, PGM or DICOM"
        ) from error
    except Image.DecompressionBombError as error:
        raise LargeImageError(
            f"{name} declares more than the limit of {limits.max_pixels:,} pixels: send a smaller "
            "image"
        ) from error
    except MemoryError as error:
        raise out_of_memory(name) from error
    except Exception as error:  # Pillow's readers raise almost anything on damage
        raise UserError(
            f"{name} is damaged or cut short and cannot be decoded: export or upload it again"
        ) from error


def _pixel_bytes(image: Image.Image) -> int:
    """Return what Pillow keeps for a pixel: one byte, two of 16-bit grey, four of anything else."""
    if image.mode in ("1", "L", "P"):
        return 1
    return 2 if image.mode.startswith("I;16") else 4


def _upright(image: Image.Image) -> Radiograph:
    """Convert to grey pixels, rotated as the EXIF header states."""
    image.load()
    pixels, notes = _grey(image)
    return _turned(pixels, _orientation(image), notes)


def _turned(pixels: Grey, orientation: int, notes: list[str]) -> Radiograph:
    turn = _EXIF_TURNS.get(orientation)
    if turn is not None:
        pixels = np.asarray(Image.fromarray(pixels).transpose(turn)).copy()
        notes.append("rotated by its EXIF orientation")
    return Radiograph(pixels=pixels, view_position=None, notes=tuple(notes))


def _grey_values(raster: Raster) -> tuple[Grey, list[str]]:
    """Convert decoded values of any depth to grey."""
    values = raster.values
    if values.dtype in (bool, np.uint8):
        pixels, notes = _grey(Image.fromarray(values))
        if raster.white_is_zero:
            pixels = 255 - pixels
            notes.append("inverted, as the file says that zero is white")
        return pixels, notes
    if values.ndim == 2:
        return deep_grey(values, white_is_zero=raster.white_is_zero)
    return deep_colour(values)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a readable image may have unreadable EXIF
        return 1


def _grey(image: Image.Image) -> tuple[Grey, list[str]]:
    if image.mode.startswith(("I", "F")):
        transparent = image.info.get("transparency")
        tags = getattr(image, "tag_v2", {})
        return deep_grey(
            np.asarray(image),
            transparent=transparent if isinstance(transparent, int) else None,
            white_is_zero=tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO,
        )
    notes = []
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        if np.asarray(rgba.getchannel("A")).min() < 255:
            notes.append("transparent parts made black")
            image = Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba)
        else:
            image = rgba
    if image.mode not in ("1", "L"):
        image = image if image.mode == "RGB" else image.convert("RGB")
        thumbnail = np.asarray(image.resize((64, 64), Image.Resampling.BOX, reducing_gap=2.0))
        if np.ptp(thumbnail.astype(np.int16), axis=2).max() > _NOTICEABLE_COLOUR:
            notes.append(colour_note(thumbnail))
    return np.asarray(image.convert("L")).copy(), notes
