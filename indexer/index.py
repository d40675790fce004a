"""An index directory, opened: manifest, vectors and cases.

    index = Index.open(Path("data/index"))
    index.manifest.source, index.vectors.search(query, k=5), index.cases.get([7])

Layout: ``manifest.json``, ``vectors.faiss``, ``cases.sqlite``, ``film_vectors.npy`` and,
for an index of enough films, ``film_profile.safetensors``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from db.cases import CaseStore
from db.errors import MismatchError, UserError
from indexer.encoder import Encoder
from indexer.film_vectors import open_film_vectors
from indexer.manifest import Manifest
from indexer.vectors import VectorStore

VECTORS = "vectors.faiss"
CASES = "cases.sqlite"


@dataclass(frozen=True, kw_only=True)
class Index:
    """What was built, read-only. A rebuild replaces the directory; an open index keeps the old."""

    path: Path
    manifest: Manifest
    vectors: VectorStore
    cases: CaseStore
    film_vectors: np.ndarray
    """(images, dim) float16, unit length, by case id and position."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an index directory.

        Raises NotFoundError where there is none or a part is missing, and UserError where a part
        cannot be read or the parts do not belong together.
        """
        manifest = Manifest.read(path)
        for name, size in manifest.file_bytes.items():
            if (path / name).is_file() and (path / name).stat().st_size != size:
                raise UserError(
                    f"{path / name} is damaged: {(path / name).stat().st_size} bytes instead of "
                    f"{size}; build the index again"
                )
        vectors = VectorStore.open(path / VECTORS)
        cases = CaseStore.open(path / CASES)
        if not (vectors.count == cases.count() == manifest.studies):
            raise MismatchError(
                f"{path} is damaged: the manifest counts {manifest.studies} studies, there are "
                f"{vectors.count} vectors and {cases.count()} cases; build the index again"
            )
        film_vectors = open_film_vectors(path)
        if film_vectors.shape != (manifest.images, vectors.dim):
            raise MismatchError(
                f"{path} is damaged: {manifest.images} images and film vectors of shape "
                f"{film_vectors.shape}; build the index again"
            )
        return cls(
            path=path, manifest=manifest, vectors=vectors, cases=cases, film_vectors=film_vectors
        )

    def require(self, encoder: Encoder) -> None:
        """Refuse an encoder whose vectors cannot be compared with this index.

        Raises MismatchError that names both and the cure.
        """
        if not self.manifest.encoder.same_space(encoder.spec):
            built, given = self.manifest.encoder, encoder.spec
            raise MismatchError(
                f"{self.path} was built with encoder '{built.name}' "
                f"(weights {built.weights_sha256[:12]}), not with '{given.name}' "
                f"(weights {given.weights_sha256[:12]}): use '--encoder {built.name}' or build "
                "the index again"
            )

    def close(self) -> None:
        self.cases.close()
