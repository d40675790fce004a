"""Where maps should lie: on the side that a sentence names, or in the boxes of an image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from db.findings import FINDING
from evaluation.retrieval.studies import FRONTAL
from indexer.images.radiograph import Grey, Limits
from indexer.images.reader import read_radiograph
from indexer.ingest.studies import read_image
from indexer.reports.labeller import mentions
from indexer.reports.labelling.mention import Side
from indexer.reports.sentences import split_sentences
from indexer.sources.nih_folders import OBSERVED_BY, read_nih_folders
from indexer.sources.records import BoundingBox, Source, StudyRecord

SCALE = 64
"""Rows and columns of a map that is measured, over the image stretched to a square."""

_OBSERVED = {
    "Infiltration": "Lung Opacity",
    **{label: name for name, labels in OBSERVED_BY.items() if len(labels) < 3 for label in labels},
}
"""Name of a box to its observation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Where the map of an observation should lie in an image."""

    image: int
    patient: str
    observation: str
    wanted: npt.NDArray[np.bool_]  # (SCALE, SCALE)
    """The half of the named side, or the boxes."""


def named_sides(source: Source) -> tuple[list[Grey], list[Place]]:
    """The frontal images of the studies whose reports name sides, and a place for every time."""
    images: list[Grey] = []
    places: list[Place] = []
    for record in source.records():
        if not isinstance(record, StudyRecord):
            continue
        named = list(sided(f"{record.findings}\n{record.impression}"))
        for image in record.images if named else ():
            if image.view_position in FRONTAL:
                places += [
                    Place(
                        image=len(images),
                        patient=record.patient_id or record.study_id,
                        observation=observation,
                        wanted=half(side),
                    )
                    for observation, side in named
                ]
                images.append(read_image(image, Limits()).pixels)
    return images, places


def sided(report: str) -> Iterator[tuple[str, Side]]:
    """Each observation that a sentence states on one side alone, sentence by sentence."""
    for sentence in split_sentences(report):
        found: dict[str, set[Side]] = {}
        for mention in mentions(sentence):
            parent = FINDING[mention.finding].parent
            if mention.state == "positive" and parent is not None:
                found.setdefault(parent, set()).update(mention.sides)
        for observation, where in found.items():
            if len(where) == 1:
                yield observation, next(iter(where))


def half(side: Side) -> npt.NDArray[np.bool_]:
    """The half of a frontal image that shows this side of the patient."""
    columns = np.arange(SCALE) < SCALE // 2
    row = columns if side == "right" else ~columns
    return np.tile(row, (SCALE, 1))


def boxed(folders: Sequence[Path]) -> tuple[list[Grey], list[Place]]:
    """The images of ChestX-ray14 that have boxes, and a place for every observation in them."""
    images: list[Grey] = []
    places: list[Place] = []
    for one in read_nih_folders(folders, adults=False):
        if not one.boxes:
            continue
        pixels = read_radiograph(one.path).pixels
        marked: dict[str, list[BoundingBox]] = {}
        for box in one.boxes:
            marked.setdefault(_OBSERVED[box.name], []).append(box)
        places += [
            Place(
                image=len(images),
                patient=one.patient_id,
                observation=observation,
                wanted=inside(found, *pixels.shape),
            )
            for observation, found in marked.items()
        ]
        images.append(pixels)
    return images, places


def inside(found: Sequence[BoundingBox], height: int, width: int) -> npt.NDArray[np.bool_]:
    """The places that lie in one of the boxes of an image with this many pixels."""
    y = (np.arange(SCALE)[:, None] + 0.5) * height / SCALE
    x = (np.arange(SCALE)[None, :] + 0.5) * width / SCALE
    within = np.zeros((SCALE, SCALE), np.bool_)
    for box in found:
        within |= (abs(x - box.left - box.width / 2) <= box.width / 2) & (
            abs(y - box.top - box.height / 2) <= box.height / 2
        )
    return within
