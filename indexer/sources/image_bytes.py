"""Write images that a table holds as bytes to files, because an index refers to files."""

import hashlib
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from db.errors import UserError
from db.files import write_bytes

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "WEBP": ".webp", "BMP": ".bmp"}


class ImageStore:
    """A folder of images named by the hash of their content, so equal images are stored once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def save(self, content: bytes, place: str) -> Path:
        """Store an image and return its absolute path.

        Raises UserError if there is no folder (naming ``place``) or it cannot be written.
        """
        if self._folder is None:
            raise UserError(
                f"{place} holds an image instead of a path: name a folder for the images with "
                "--images-dir, and keep it with the index"
            )
        name = hashlib.sha256(content).hexdigest()[:32] + _suffix(content)
        path = self._folder.absolute() / name
        if path.is_file() and path.stat().st_size == len(content):
            return path
        try:
            write_bytes(path, content)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror or error})") from error
        return path


def _suffix(content: bytes) -> str:
    """Return a file suffix for people and viewers; this project goes by the content."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return _SUFFIXES.get(image.format or "", "")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return ".dcm" if content[128:132] == b"DICM" else ""
