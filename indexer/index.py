"""An index directory, opened: manifest, vectors and cases of its current version.

    index = Index.open(Path("data/index"))
    index.manifest.source, index.vectors.search(query, k=5), index.cases.get([7])

Files of a version: ``manifest.json``, ``cases.sqlite``, ``case_ids.npy``, ``case_vectors.npy``,
``image_vectors.npy``, for many cases ``vectors.faiss``, and for images that were read
``image_sample.safetensors`` and, if they are enough, ``image_profile.safetensors``. Where versions
are kept: ``indexer.versions``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from db.errors import MismatchError, UserError
from db.index.store import CaseStore
from indexer.encoder.spec import Encoder, EncoderSpec
from indexer.manifest import Manifest
from indexer.vectors.image_vectors import open_image_vectors
from indexer.vectors.store import VectorStore
from indexer.versions import current_folder

CASES = "cases.sqlite"


@dataclass(frozen=True, kw_only=True)
class Index:
    """One version, read-only. It stays as it is while newer ones are made."""

    path: Path
    """The folder of its files."""
    manifest: Manifest
    vectors: VectorStore
    cases: CaseStore
    image_vectors: np.ndarray
    """(images, dim) float16, unit length, by case id and position."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the current version of an index, or the version whose folder this is.

        Raises NotFoundError where there is none or a part is missing, and UserError where a part
        cannot be read or the parts do not belong together.
        """
        folder = current_folder(path)
        try:
            return cls._open(folder)
        except UserError:
            if current_folder(path) == folder:
                raise
            return cls.open(path)  # it was replaced and dropped in between

    @classmethod
    def _open(cls, path: Path) -> Self:
        manifest = Manifest.read(path)
        for name, size in manifest.file_bytes.items():
            if (path / name).is_file() and (path / name).stat().st_size != size:
                raise UserError(
                    f"{path / name} is damaged: {(path / name).stat().st_size} bytes instead of "
                    f"{size}; build the index again"
                )
        if manifest.format_version == 1:
            vectors = VectorStore.open_format_1(path)
        else:
            vectors = VectorStore.open(path, manifest.vectors)
        cases = CaseStore.open(path / CASES)
        if not (vectors.count == cases.count() == manifest.studies):
            raise MismatchError(
                f"{path} is damaged: the manifest counts {manifest.studies} studies, there are "
                f"{vectors.count} vectors and {cases.count()} cases; build the index again"
            )
        image_vectors = open_image_vectors(path)
        if image_vectors.shape != (manifest.images, vectors.dim):
            raise MismatchError(
                f"{path} is damaged: {manifest.images} images and image vectors of shape "
                f"{image_vectors.shape}; build the index again"
            )
        return cls(
            path=path, manifest=manifest, vectors=vectors, cases=cases, image_vectors=image_vectors
        )

    def require(self, encoder: Encoder | EncoderSpec) -> None:
        """Refuse an encoder whose vectors cannot be compared with this index.

        Raises MismatchError that names both and the cure.
        """
        built = self.manifest.encoder
        given = encoder if isinstance(encoder, EncoderSpec) else encoder.spec
        if not built.same_space(given):
            raise MismatchError(
                f"{self.path} was built with encoder '{built.name}' "
                f"(weights {built.weights_sha256[:12]}), not with '{given.name}' "
                f"(weights {given.weights_sha256[:12]}): use '--encoder {built.name}' or build "
                "the index again"
            )

    def close(self) -> None:
        self.cases.close()
