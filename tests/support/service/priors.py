"""An encoder that sees a finding where a drawn image is marked, and images marked for it."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.labels import OBSERVATIONS
from generator.assessment.calibration import Calibration
from indexer.build import build
from indexer.encoder.spec import ImageEmbeddings
from indexer.sources.jsonl import JsonLines
from tests.support.fakes import ThumbnailEncoder
from tests.support.radiographs import draw_radiograph

MARKED: Mapping[str, int] = {"Pleural Effusion": 0, "Cardiomegaly": 1, "Edema": 2}
"""Finding to the column of the first row whose pixel is its probability, 0..255."""
_VIEW = 5


class MarkedEncoder(ThumbnailEncoder):
    """Label scores and views as they are written into the first row of an image."""

    def __init__(self) -> None:
        super().__init__("marked", "7" * 64)

    def embed_images(self, images: Sequence[np.ndarray]) -> ImageEmbeddings:
        scores = np.full((len(images), len(OBSERVATIONS)), 0.02, np.float32)
        for row, image in enumerate(images):
            for name, column in MARKED.items():
                scores[row, OBSERVATIONS.index(name)] = float(image[0, column]) / 255
        frontal = np.array([float(image[0, _VIEW]) / 255 for image in images], np.float32)
        return ImageEmbeddings(
            vectors=super().embed_images(images).vectors, label_scores=scores, frontal=frontal
        )


def marked(seed: int, *, frontal: bool = True, **findings: float) -> npt.NDArray[np.uint8]:
    """A drawn image (96, 80) with findings, such as ``Edema=0.9``, underscores for spaces."""
    pixels = draw_radiograph(seed, size=(96, 80))
    for name, column in MARKED.items():
        pixels[0, column] = round(255 * findings.get(name.replace(" ", "_"), 0.02))
    pixels[0, _VIEW] = 255 if frontal else 0
    return pixels


def marked_png(seed: int, *, frontal: bool = True, **findings: float) -> bytes:
    """The same as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(marked(seed, frontal=frontal, **findings)).save(out, "PNG")
    return out.getvalue()


CALIBRATION = Calibration(knn=0.0, label_head=1.0, least_change=1.0)
"""Takes the label scores as they are."""


def build_priors(folder: Path) -> Path:
    """Build an index of two studies for each of four patients, and return it.

    Study ``s2`` of patient ``p1`` is of 3 March 2026, ``s3`` of 3 April; ``p3`` has no dates.
    """
    lines = []
    for number in range(8):
        Image.fromarray(marked(number, Pleural_Effusion=0.9)).save(folder / f"{number}.png")
        lines.append(
            {
                "study_id": f"s{number}",
                "patient_id": f"p{number // 2}",
                "image": f"{number}.png",
                "findings": "There is a pleural effusion. Heart size is normal.",
                "impression": f"Effusion of patient {number}.",
                "study_date": f"2026-0{number + 1}-03",
            }
        )
    lines[6].pop("study_date")
    lines[7].pop("study_date")
    studies = folder / "studies.jsonl"
    studies.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    build(JsonLines(studies), MarkedEncoder(), folder / "index")
    return folder / "index"
