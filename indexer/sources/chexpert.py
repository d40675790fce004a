"""CheXpert: Stanford Hospital, 2002 to 2017; labels without reports.

Source: Irvin et al., AAAI 2019, arXiv 1901.07031; https://aimi.stanford.edu/datasets/chexpert-chest
-x-rays. 224,316 images of 65,240 patients.
Licence: Stanford University Dataset Research Use Agreement: no redistribution, non-commercial.

Layout: the folder ``CheXpert-v1.0`` or ``CheXpert-v1.0-small`` with ``train.csv``, ``valid.csv``
and, if you have it, ``test_labels.csv`` (or ``test.csv``), whose Path column holds paths such as
``CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg``. The tables of one or two splits
are enough; if there are images but no table, ``train.csv`` is taken from the package
``torchxrayvision``.

Labels: the 14 CheXpert observations: 1, 0, -1 (uncertain) or empty (unmentioned) by the CheXpert
labeler for train; 0 or 1 by three (valid) and five (test) radiologists.

Known noise: rules read the train labels from reports; studies of a patient are not in order; a
study may consist of a lateral view alone; AP/PA is empty for laterals, and a few are LL or RL; one
age is 0; some train images are photographs of screens or rotated wrongly.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from db.errors import NotFoundError
from db.index.store import ViewPosition
from indexer.encoder.weight_files import package_file
from indexer.images.dicom_header import read_view
from indexer.sources.grouping import Groups, Rows
from indexer.sources.image_files import ImageFiles
from indexer.sources.label_words import chexpert_labels, sentences_of_labels
from indexer.sources.records import (
    NO_LABEL,
    ImageRecord,
    Record,
    SkippedStudy,
    StudyRecord,
    usable_or_skipped,
)
from indexer.sources.split_choice import SplitChoice
from indexer.sources.tables import find_optional, read_table

_TABLES = {"train": ("train.csv",), "val": ("valid.csv",), "test": ("test_labels.csv", "test.csv")}
_ROOTS = ("CheXpert-v1.0-small/", "CheXpert-v1.0/")


class CheXpert:
    """CheXpert; its cases hold label sentences instead of reports."""

    name = "chexpert"
    licence = "Stanford University Dataset Research Use Agreement: no redistribution"

    def __init__(self, data_dir: Path, *, choice: SplitChoice | None = None) -> None:
        """Raises NotFoundError for a folder with neither a table nor images of CheXpert."""
        self._choice = choice or SplitChoice()
        self.split = self._choice.name
        self._data_dir = data_dir
        self._tables = {
            split: path
            for split, names in _TABLES.items()
            if (path := find_optional(data_dir, *names)) is not None
        }
        if not self._tables:
            if not (data_dir / "train").is_dir():
                raise NotFoundError(
                    f"{data_dir} has no 'train.csv', 'valid.csv' or 'test_labels.csv' and no "
                    "folder 'train': expected the folder CheXpert-v1.0 or CheXpert-v1.0-small"
                )
            self._tables["train"] = package_file("torchxrayvision", "data/chexpert_train.csv.gz")
        self._groups: Groups | None = None

    def records(self) -> Iterator[Record]:
        if self._groups is None:
            self._groups = Groups({split: _rows(path) for split, path in self._tables.items()})
        images = ImageFiles([self._data_dir])
        for study_id, tables in self._groups:
            own, rows = next(iter(tables.items()))
            split = self._choice.split_of(study_id, own)
            if self._choice.includes(split):
                yield self._record(study_id, rows, split, images)
        images.check(next(iter(self._tables.values())))

    def _record(
        self, study_id: str, rows: list[dict[str, Any]], split: str | None, radiographs: ImageFiles
    ) -> Record:
        images = {}
        for row in rows:
            relative = row["Path"]
            for root in _ROOTS:
                relative = relative.removeprefix(root)
            # Tables name test images with or without test/, and valid/ may be called val/.
            path = radiographs.find(
                (relative, f"test/{relative}", relative.replace("valid/", "val/"))
            )
            if path is not None:
                images[path] = ImageRecord(
                    path=path, view_position=read_view_columns(row, relative)
                )
        labels = chexpert_labels(rows[0], f"{self._data_dir}, {rows[0]['Path']}") or {}
        sentences = sentences_of_labels(labels)
        if not sentences:
            return SkippedStudy(study_id=study_id, reason=NO_LABEL)
        return usable_or_skipped(
            StudyRecord(
                study_id=study_id,
                patient_id=study_id.partition("-")[0],
                images=tuple(images.values()),
                label_sentences=sentences,
                labels=labels,
                split=split,
            )
        )


def _rows(path: Path) -> Rows:
    for place, row in read_table(path, needs=("Path",)):
        yield study_id_from_path(row["Path"], place), row


def study_id_from_path(path: str, place: str) -> str:
    """Convert ``.../patient00001/study1/view1_frontal.jpg`` to ``patient00001-study1``.

    Raises NotFoundError, naming ``place``, for any other path.
    """
    folders = path.split("/")
    if len(folders) < 3 or not folders[-3].startswith("patient"):
        raise NotFoundError(
            f"{place}: '{path[:80]}' is not an image path "
            "like patient00001/study1/view1_frontal.jpg"
        )
    return f"{folders[-3]}-{folders[-2]}"


def read_view_columns(row: dict[str, Any], path: str) -> ViewPosition | None:
    """Read the view from the columns of CheXpert or CheXpert Plus, else from the file name."""
    side = (row.get("Frontal/Lateral") or row.get("frontal_lateral") or path).lower()
    if "lateral" in side:
        return "LATERAL"
    direction = read_view(row.get("AP/PA") or row.get("ap_pa"))
    if direction in ("PA", "AP"):
        return direction
    return "FRONTAL" if "frontal" in side else None
