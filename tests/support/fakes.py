"""An encoder that needs no weights, and studies that need no data set."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from db.labels import OBSERVATIONS
from indexer.encoder.spec import ClassMaps, EncoderSpec, ImageEmbeddings
from tests.support.radiographs import draw_radiograph

REPORTS = (
    ("The heart is enlarged. The lungs are clear.", "Cardiomegaly."),
    ("Small left pleural effusion. Heart size is normal.", "Left effusion."),
    ("Lungs are clear. No pneumothorax or effusion.", "No acute cardiopulmonary disease."),
    ("Right lower lobe opacity, likely pneumonia.", "Pneumonia."),
)


class ThumbnailEncoder:
    """Images as their 8 x 8 thumbnails: equal images get equal vectors, like images like ones."""

    def __init__(self, name: str = "thumbnail", weights_sha256: str = "0" * 64) -> None:
        self.spec = EncoderSpec(
            name=name, weights_sha256=weights_sha256, dim=64, preprocessing={"size": 8}
        )

    def embed_images(self, images: Sequence[np.ndarray]) -> ImageEmbeddings:
        rows = [
            np.asarray(Image.fromarray(image).resize((8, 8)), dtype=np.float32).ravel() - 127.5
            for image in images
        ]
        vectors = np.stack(rows) if rows else np.zeros((0, 64), np.float32)
        return ImageEmbeddings(vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def shrunk(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((8, 8)))


class FittingThumbnails(ThumbnailEncoder):
    """Its images can be fitted in another process."""

    @property
    def fit(self) -> Callable[[np.ndarray], np.ndarray]:
        return shrunk

    def start(self, fitted: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: super(FittingThumbnails, self).embed_images(list(fitted)).vectors

    def embed_images(self, images: Sequence[np.ndarray]) -> ImageEmbeddings:
        return super().embed_images([shrunk(image) for image in images])


class ReportEncoder(ThumbnailEncoder):
    """Also with a label head that always sees the same, and a text tower for numbers.

    The text "7" is embedded where the image of seed 7 is.
    """

    def __init__(self, seen: Mapping[str, float] | None = None) -> None:
        super().__init__("reports", "2" * 64)
        self._scores = [dict(seen or {}).get(name, 0.1) for name in OBSERVATIONS]

    def embed_images(self, images: Sequence[np.ndarray]) -> ImageEmbeddings:
        scores = np.tile(np.array(self._scores, np.float32), (len(images), 1))
        return ImageEmbeddings(
            vectors=super().embed_images(images).vectors,
            label_scores=scores,
            class_maps=tuple(one_sided_maps() for _ in images),
        )

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        return (
            super()
            .embed_images([draw_radiograph(int(text), size=(96, 80)) for text in texts])
            .vectors
        )


def one_sided_maps() -> ClassMaps:
    """The score of every observation rests on the lower corner at the left, of a Lung Opacity on
    that at the right."""
    parts = np.full((len(OBSERVATIONS), 8, 8), -1.0, np.float32)
    parts[:, 5:7, 1:3] = 2.0
    opacity = parts[OBSERVATIONS.index("Lung Opacity")]
    opacity[:] = opacity[:, ::-1]
    return ClassMaps(parts=parts, box=(0.0, 0.0, 1.0, 1.0))


def write_studies(directory: Path, count: int, *, per_patient: int = 1) -> Path:
    """A JSON Lines file of ``count`` one-image studies with drawn images; returns its path."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(count):
        image = directory / f"{number}.png"
        Image.fromarray(draw_radiograph(number, size=(96, 80))).save(image)
        findings, impression = REPORTS[number % len(REPORTS)]
        lines.append(
            json.dumps(
                {
                    "study_id": f"s{number}",
                    "patient_id": f"p{number // per_patient}",
                    "image": image.name,
                    "findings": findings,
                    "impression": impression,
                }
            )
        )
    path = directory / "studies.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path
