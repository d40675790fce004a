"""Images that come as bytes in a table: put into files, for an index names files."""

import hashlib
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from db.errors import UserError
from db.files import write_bytes

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "WEBP": ".webp", "BMP": ".bmp"}


class ImageStore:
    """A folder of images named by their content: equal ones are kept once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def keep(self, content: bytes, place: str) -> Path:
        """The absolute path of the image in the folder.

        Raises UserError that names ``place`` without a folder, or where it cannot be written.
        """
        if self._folder is None:
            raise UserError(
                f"{place} holds an image and not a path: --images-dir names a folder to put the "
                "images in, which stays with the index"
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
    """For people and viewers only: readers go by the content."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return _SUFFIXES.get(image.format or "", "")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return ".dcm" if content[128:132] == b"DICM" else ""
