"""Stored vectors: an index without reports and images, which may be published if those may not.

    StoredVectors.write(Path("pretrained/openi"), index)
    StoredVectors.read(Path("pretrained/openi")).studies["12"].vector

``studies.json`` holds source, split, encoder and, per study, facts on its images (file name, view,
size, hashes); ``vectors.safetensors`` holds the float16 vectors of studies and images in the same
order; ``film_profile.safetensors`` holds average thumbnails. Files and keys keep the names under
which the first vectors were published.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors
import safetensors.numpy

from db.errors import NotFoundError, UserError
from db.files import parse_json, write_bytes
from db.index.store import CaseImage
from indexer.encoder.spec import EncoderSpec
from indexer.index import Index
from indexer.sources.records import EmbeddedStudy, check_study_id
from indexer.typicality.profile import OLDER_MEASURES, TypicalityProfile

STUDIES = "studies.json"
VECTORS = "vectors.safetensors"
PROFILE = "film_profile.safetensors"


@dataclass(frozen=True, kw_only=True)
class StoredVectors:
    """The embedded studies of one source."""

    source: str
    split: str
    encoder: EncoderSpec
    studies: Mapping[str, EmbeddedStudy]
    """By study id, in the order of the original index."""
    image_profile: TypicalityProfile | None = None
    """The profile of the images from which the vectors were computed."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read stored vectors.

        Raises NotFoundError if a file is missing, UserError if the files do not belong together.
        """
        for name in (STUDIES, VECTORS):
            if not (directory / name).is_file():
                raise NotFoundError(f"{directory} holds no stored vectors ({name} is missing)")
        try:
            head: dict[str, Any] = parse_json((directory / STUDIES).read_text(encoding="utf-8"))
            arrays = safetensors.numpy.load_file(directory / VECTORS)
            unit, images = _unit(arrays["vectors"]), _unit(arrays["film_vectors"])
            encoder = EncoderSpec(**head["encoder"])
            ends = np.cumsum([len(study["images"]) for study in head["studies"]])
            if images.shape != (ends[-1], encoder.dim) or not np.isfinite(images).all():
                raise ValueError(f"{images.shape} image vectors for {ends[-1]} images")
            if unit.shape != (len(head["studies"]), encoder.dim) or not np.isfinite(unit).all():
                raise ValueError(f"{unit.shape} vectors for {len(head['studies'])} studies")
            studies = {
                check_study_id(study["study_id"], STUDIES): EmbeddedStudy(
                    vector=vector,
                    image_vectors=images[end - len(study["images"]) : end],
                    images=tuple(
                        CaseImage(**{**image, "dhash": int(image["dhash"], 16)})
                        for image in study["images"]
                    ),
                )
                for study, vector, end in zip(head["studies"], unit, ends, strict=True)
            }
            return cls(
                source=head["source"],
                split=head["split"],
                encoder=encoder,
                studies=studies,
                image_profile=TypicalityProfile.read(
                    directory / PROFILE, head.get("film_quantiles")
                ),
            )
        except (ValueError, KeyError, TypeError, IndexError, safetensors.SafetensorError) as error:
            raise UserError(f"{directory} holds no valid stored vectors: {error}") from error

    @staticmethod
    def write(directory: Path, index: Index) -> None:
        """Write the vectors of ``index`` to ``directory``, which is created if missing."""
        profile = index.read_profile()
        _, vectors = index.vectors.all()
        studies = [
            {
                "study_id": case.study_id,
                "images": [
                    {
                        "path": None if image.path is None else Path(image.path).name,
                        "view_position": image.view_position,
                        "width": image.width,
                        "height": image.height,
                        "pixels_sha256": image.pixels_sha256,
                        "dhash": f"{image.dhash:016x}",
                    }
                    for image in case.images
                ],
            }
            for case in index.cases
        ]
        head = {
            "source": index.manifest.source,
            "split": index.manifest.split,
            "encoder": asdict(index.manifest.encoder),
            "film_quantiles": None if profile is None else _quantiles(profile),
        }
        lines = ",\n".join(json.dumps(study, sort_keys=True) for study in studies)
        text = json.dumps(head, sort_keys=True)[:-1] + f', "studies": [\n{lines}\n]}}\n'
        arrays = {
            "vectors": vectors.astype(np.float16),
            "film_vectors": np.asarray(index.image_vectors),
        }
        write_bytes(directory / VECTORS, safetensors.numpy.save(arrays))
        if profile is not None:
            profile.write(directory / PROFILE)
        write_bytes(directory / STUDIES, text.encode())


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit


def _quantiles(profile: TypicalityProfile) -> dict[str, Mapping[str, float]]:
    names = {name: older for older, name in OLDER_MEASURES.items()}
    return {names.get(name, name): levels for name, levels in profile.quantiles.items()}
