"""Open an index: manifest, vectors and cases of its current version.

    index = Index.open(Path("data/index"))
    index.manifest.source, index.vectors.search(query, k=5), index.cases.get([7])

A version has the files ``manifest.json``, ``cases.sqlite``, ``vectors.faiss``,
``image_vectors.npy``, in large indexes ``case_ids.npy`` and ``case_vectors.npy``, and, if images
were read, ``thumbnail_sample.safetensors`` and ``typicality_profile.safetensors``. The folders of
versions are described in ``indexer.versions``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from db.errors import MismatchError, UserError
from db.index.store import CaseStore
from indexer.encoder.spec import Encoder, EncoderSpec
from indexer.manifest import Manifest
from indexer.typicality.profile import PROFILE, TypicalityProfile
from indexer.typicality.sample import SAMPLE, ThumbnailSample
from indexer.vectors.exact import ExactVectors, read_flat
from indexer.vectors.ivf import IDS, LISTS, VECTORS
from indexer.vectors.mapped_files import MappedFiles
from indexer.vectors.row_files import map_rows
from indexer.vectors.store import VectorStore, open_vectors
from indexer.versions import current_folder

CASES = "cases.sqlite"
IMAGE_VECTORS = "image_vectors.npy"

_OLDER_FILES = {
    IMAGE_VECTORS: "film_vectors.npy",
    SAMPLE: "film_sample.safetensors",
    PROFILE: "film_profile.safetensors",
}
"""Names of these files in formats 1 and 2."""


@dataclass(frozen=True, kw_only=True)
class Index:
    """One version of an index, read-only; newer versions do not affect it."""

    path: Path
    """The folder of the version."""
    place: str
    """How messages name the index: its folder, or the URL of its database."""
    manifest: Manifest
    vectors: VectorStore
    cases: CaseStore
    image_vectors: np.ndarray
    """(images, dim) float16, unit length, ordered by case id and position, mapped from disk. Near
    duplicates are found with these, because a case's own vector may include its report."""
    image_files: MappedFiles
    """That of the image vectors; check it before reading them."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the current version of an index, or the version in this folder.

        Raises NotFoundError if there is none or a file is missing, and UserError if a file cannot
        be read or the files do not belong together.
        """
        folder = current_folder(path)
        try:
            return cls._open(folder)
        except UserError:
            if current_folder(path) == folder:
                raise
            return cls.open(path)  # a newer version has replaced it meanwhile

    @classmethod
    def _open(cls, path: Path) -> Self:
        manifest = Manifest.read(path)
        for name, size in manifest.file_bytes.items():
            if (path / name).is_file() and (path / name).stat().st_size != size:
                raise UserError(
                    f"{path / name} is damaged: {(path / name).stat().st_size} bytes instead of "
                    f"{size}; build the index again"
                )
        vectors = _open_vectors(path, manifest)
        root = None if manifest.image_root is None else Path(manifest.image_root)
        cases = CaseStore.open(path / CASES, image_root=root)
        if not (vectors.count == cases.count() == manifest.studies):
            raise MismatchError(
                f"{path} is damaged: the manifest counts {manifest.studies} studies, there are "
                f"{vectors.count} vectors and {cases.count()} cases; build the index again"
            )
        image_path = path / _file_name(IMAGE_VECTORS, manifest)
        image_vectors = map_rows(image_path)
        if image_vectors.shape != (manifest.images, vectors.dim):
            raise MismatchError(
                f"{path} is damaged: {manifest.images} images and image vectors of shape "
                f"{image_vectors.shape}; build the index again"
            )
        return cls(
            path=path,
            place=str(path),
            manifest=manifest,
            vectors=vectors,
            cases=cases,
            image_vectors=image_vectors,
            image_files=MappedFiles(image_path),
        )

    def check_files(self) -> None:
        """Raise UnavailableError if a mapped file was cut short since it was opened."""
        self.vectors.files.check()
        self.image_files.check()

    def require(self, encoder: Encoder | EncoderSpec) -> None:
        """Check that an encoder's vectors can be compared with this index.

        Raises MismatchError if not.
        """
        built = self.manifest.encoder
        given = encoder if isinstance(encoder, EncoderSpec) else encoder.spec
        if not built.same_space(given):
            raise MismatchError(
                f"{self.place} was built with encoder '{built.name}' "
                f"(weights {built.weights_sha256[:12]}), not with '{given.name}' "
                f"(weights {given.weights_sha256[:12]}): use '--encoder {built.name}' or build "
                "the index again"
            )

    def read_profile(self) -> TypicalityProfile | None:
        """Read the typicality profile of the indexed images; None if there is none.

        Raises NotFoundError if its file is missing and UserError if it is damaged.
        """
        path = self.path / _file_name(PROFILE, self.manifest)
        return TypicalityProfile.read(path, self.manifest.image_quantiles)

    def read_sample(self) -> ThumbnailSample:
        """Read the thumbnails to which the profile is fitted; empty if no image was read.

        Raises UserError if the file is damaged.
        """
        return ThumbnailSample.read(self.path / _file_name(SAMPLE, self.manifest))

    def close(self) -> None:
        self.cases.close()


def _file_name(name: str, manifest: Manifest) -> str:
    return _OLDER_FILES[name] if manifest.format_version < 3 else name


def _open_vectors(path: Path, manifest: Manifest) -> VectorStore:
    """Read exact vectors of formats 1 and 2 into memory; map all others from disk."""
    if manifest.format_version == 1:
        return ExactVectors.of(*read_flat(path / LISTS))
    if manifest.format_version == 2 and manifest.vectors.type == "exact":
        ids, vectors = map_rows(path / IDS), map_rows(path / VECTORS)
        if len(ids) != len(vectors) or ids.ndim != 1 or vectors.ndim != 2:
            raise UserError(
                f"{path} is damaged: {len(ids)} ids and vectors of shape {vectors.shape}; build "
                "the index again"
            )
        return ExactVectors.of(ids, vectors)
    return open_vectors(path, manifest.vectors)
