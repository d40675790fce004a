"""Folders of ChestX-ray14 images as one collection, held out by patient.

    for image in read_nih_folders([Path("nih"), Path("nih_hires"), Path("nih_128px")]):
        image.path, image.part, image.labels

A folder holds ``images/`` and ``labels.csv`` with the columns image, patient_id, age, one for each
of `NIH_LABELS` and, in some folders, boxes. Patients occur in several folders, so the parts are
drawn over all of them at once: 300 patients are val, 300 are test, and every patient with a box is
test too. Patients of the first folder are never val: the encoders before were trained on it.
Source: Wang et al., CVPR 2017, arXiv 1705.02315.
"""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from db.errors import NotFoundError, UserError
from db.labels import OBSERVATIONS
from indexer.sources.records import BoundingBox

Part = Literal["train", "val", "test"]

NIH_LABELS: tuple[str, ...] = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
    "No Finding",
)

OBSERVED_BY: Mapping[str, tuple[str, ...]] = {
    "No Finding": ("No Finding",),
    "Cardiomegaly": ("Cardiomegaly",),
    "Lung Lesion": ("Mass", "Nodule"),
    "Lung Opacity": ("Infiltration", "Consolidation", "Atelectasis", "Edema", "Pneumonia"),
    "Edema": ("Edema",),
    "Consolidation": ("Consolidation",),
    "Pneumonia": ("Pneumonia",),
    "Atelectasis": ("Atelectasis",),
    "Pneumothorax": ("Pneumothorax",),
    "Pleural Effusion": ("Effusion",),
    "Pleural Other": ("Pleural_Thickening",),
}
"""Observation to the labels any of which says it; the other observations are not labelled."""

HELD_OUT = 300
"""Patients of val, and of test beside those with boxes."""

_SALT = "grounded-cxr nih split 1"
_BOXES = "boxes_name_x_y_w_h_in_1024"
_BOXES_SIDE = 1024
_ADULT = 18


@dataclass(frozen=True, kw_only=True)
class NihImage:
    """One frontal image."""

    path: Path
    folder: str
    patient_id: str
    part: Part
    labels: frozenset[str]
    boxes: tuple[BoundingBox, ...] = ()
    view_position: str = ""
    """``PA`` or ``AP``."""

    @property
    def follow_up(self) -> int:
        """The place of the image among those of its patient, from 0, as its name has it:
        ``00000061_012.jpg``; 0 for another name."""
        number = self.path.stem.rpartition("_")[2]
        return int(number) if number.isdigit() else 0


def read_nih_folders(folders: Sequence[Path], *, adults: bool = True) -> list[NihImage]:
    """Read all images, by default those of adults alone, in the order of folders and tables.

    The order of the folders matters: see above. Raises NotFoundError for a folder without
    ``labels.csv`` and UserError for a table that lacks a column.
    """
    tables = {folder: _read_table(folder) for folder in folders}
    rows = [row for table in tables.values() for row in table]
    parts = split_patients(
        {row["patient_id"] for row in rows},
        seen={row["patient_id"] for row in tables[folders[0]]},
        boxed={row["patient_id"] for row in rows if (row.get(_BOXES) or "").strip()},
    )
    return [
        NihImage(
            path=folder / "images" / row["image"],
            folder=folder.name,
            patient_id=row["patient_id"],
            part=parts[row["patient_id"]],
            labels=frozenset(label for label in NIH_LABELS if row[label] == "1"),
            boxes=_boxes(row),
            view_position=row.get("view_position") or "",
        )
        for folder, table in tables.items()
        for row in table
        if not adults or int(row["age"]) >= _ADULT
    ]


def _boxes(row: Mapping[str, str]) -> tuple[BoundingBox, ...]:
    """Read ``name:left:top:width:height;...`` of the image of 1,024 pixels that it was made from.

    Raises UserError for anything else.
    """
    stated = [one for one in (row.get(_BOXES) or "").split(";") if one.strip()]
    try:
        scale = int(row["w"]) / _BOXES_SIDE if stated else 0.0
        boxes = []
        for one in stated:
            name, *sides = one.split(":")
            left, top, width, height = (float(side) * scale for side in sides)
            boxes.append(BoundingBox(name=name, left=left, top=top, width=width, height=height))
        return tuple(boxes)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"the boxes of {row['image']} cannot be read: write name:left:top:width:height, and "
            "the width of the image in the column w"
        ) from error


def split_patients(
    patients: set[str], *, seen: set[str], boxed: set[str], held_out: int = HELD_OUT
) -> dict[str, Part]:
    """The part of each patient, by a hash of the identifier.

    ``seen`` patients are train unless they are ``boxed``; those are all test.
    """
    drawn = sorted(
        patients - seen - boxed,
        key=lambda patient: hashlib.sha256(f"{_SALT}:{patient}".encode()).hexdigest(),
    )
    parts: dict[str, Part] = dict.fromkeys(patients, "train")
    parts.update(dict.fromkeys(drawn[:held_out], "val"))
    parts.update(dict.fromkeys([*drawn[held_out : 2 * held_out], *boxed], "test"))
    return parts


def label_table(labels: Sequence[frozenset[str]]) -> npt.NDArray[np.uint8]:
    """Labels of n images in the order of `NIH_LABELS`: (n, 15), 0 or 1."""
    table = [[name in image for name in NIH_LABELS] for image in labels]
    return np.array(table, np.uint8).reshape(len(labels), len(NIH_LABELS))


def observed(table: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The CheXpert observations of `label_table`'s rows: (n, 14), and which of the 14 are known."""
    found = np.zeros((len(table), len(OBSERVATIONS)), np.uint8)
    known = np.zeros(len(OBSERVATIONS), np.bool_)
    for name, labels in OBSERVED_BY.items():
        column = OBSERVATIONS.index(name)
        known[column] = True
        found[:, column] = table[:, [NIH_LABELS.index(label) for label in labels]].any(axis=1)
    return found, known


def _read_table(folder: Path) -> list[dict[str, str]]:
    path = folder / "labels.csv"
    if not path.is_file():
        raise NotFoundError(f"{folder} has no labels.csv: name a folder of ChestX-ray14 images")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    missing = {"image", "patient_id", "age", *NIH_LABELS} - set(rows[0] if rows else {})
    if missing:
        raise UserError(f"{path} has no column {', '.join(sorted(missing))}")
    return rows
