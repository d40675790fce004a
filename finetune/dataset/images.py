"""The images that a value of a data set holds, as files or the bytes of files.

    images_in("a.png", folder)                        # a path beside the data
    images_in(["pa.dcm", "lateral.dcm"], folder)      # the views of one study
    images_in("data:image/png;base64,iVBORw0...", folder)

Also the bytes of a file, a mapping of ``bytes`` and ``path``, plain base64, a PIL image, an array.
What is in a file is for `indexer.images.reader` to find out, as it is when the model is served.
"""

import base64
import binascii
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
from PIL import Image

from db.files import parse_json

Images = tuple[Path | bytes, ...]

_FOLDERS = ("", "images", "imgs", "VQA_RAD Image Folder")
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_LONGEST_PATH = 4096
_SHORTEST_FILE = 64
"""Characters of base64 that no image file is shorter than."""
_SHOWN = 60


def images_in(value: Any, folder: Path | None) -> list[Path | bytes]:
    """Every image of a value; ``folder`` is where relative paths start, None for no files.

    Raises ValueError that says what is wrong, without quoting an image.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise ValueError("it names no image")
    if isinstance(value, Mapping):
        return images_in(value.get("bytes") or value.get("path") or value.get("url"), folder)
    if isinstance(value, bytes | bytearray | memoryview):
        return [_checked(bytes(value))]
    if isinstance(value, list | tuple) and len(value) and not _is_array(value):
        return [image for one in value for image in images_in(one, folder)]
    if isinstance(value, Image.Image | np.ndarray | list | tuple):
        if not isinstance(value, Image.Image) and len(value) == 0:
            raise ValueError("it names no image")
        try:
            return [encode_image(value)]
        except (OSError, TypeError, ValueError, KeyError) as error:
            raise ValueError(f"the image cannot be read ({error})") from error
    if not isinstance(value, str):
        raise ValueError(f"a value of type {type(value).__name__} is no image")
    return _of_text(value.strip(), folder)


def _checked(content: bytes) -> bytes:
    if not content:
        raise ValueError("it names no image")
    return content


def _is_array(value: Any) -> bool:
    """Whether nested lists are the pixels of one image: rows of numbers, or of colours."""
    depth = 0
    while isinstance(value, list | tuple) and value:
        value, depth = value[0], depth + 1
    return depth in (2, 3) and not isinstance(value, str | bytes | Mapping | Image.Image)


def _of_text(text: str, folder: Path | None) -> list[Path | bytes]:
    if not text:
        raise ValueError("it names no image")
    if text.startswith("data:"):
        encoded = text.partition("base64,")[2]
        return [_decoded(encoded, "the data address")]
    if text.startswith(("http://", "https://")):
        raise ValueError(f"{_short(text)} is a web address: download the image and name its file")
    if text.startswith("file://"):
        text = unquote(urlparse(text).path)
    found = _file(text, folder)
    if found is not None:
        return [found]
    if text.startswith("["):
        try:
            listed = parse_json(text)
        except ValueError:
            pass
        else:
            return images_in(listed, folder)
    if len(text) >= _SHORTEST_FILE and "." not in text:
        return [_decoded(text, "the text")]
    if folder is None:
        raise ValueError(f"{_short(text)} is a file, and a hub data set must hold its images")
    raise ValueError(f"the image {_short(text)} does not exist beside the data")


def _file(text: str, folder: Path | None) -> Path | None:
    if folder is None or len(text) > _LONGEST_PATH:
        return None
    for inside in _FOLDERS:
        path = folder / inside / text
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # a name that no file can have
            return None
    return None


def _decoded(text: str, what: str) -> bytes:
    try:
        content = base64.b64decode("".join(text.split()), altchars=None, validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if not content:
        raise ValueError(f"{what} is neither a file beside the data nor an image in base64")
    return content


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def encode_image(value: Any) -> bytes:
    """A PIL image, an array or nested lists as a lossless file, for the reader of image files.

    Arrays are (height, width) or (height, width, channels). Whole numbers of 0 to 255 are 8-bit
    values unless their type says otherwise, those up to 65535 are 16-bit values, and all others
    floating point. Raises ValueError or TypeError for what is no image.
    """
    image = value if isinstance(value, Image.Image) else _array_image(np.asarray(value))
    buffer = io.BytesIO()
    kind = "PNG" if image.mode in _PNG_MODES else "TIFF"
    image.save(buffer, kind, exif=image.getexif())
    return buffer.getvalue()


def _array_image(values: Any) -> Image.Image:
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.dtype.kind in "iu" and values.dtype not in (np.uint8, np.uint16):
        low, high = int(values.min()), int(values.max())
        values = values.astype(
            np.float32 if low < 0 or high > 65535 else (np.uint8 if high <= 255 else np.uint16)
        )
    elif values.dtype.kind == "f":
        values = values.astype(np.float32)
    return Image.fromarray(values)
