"""VinDr-CXR: two hospitals in Hanoi; labels and boxes by radiologists, no reports.

Source: Nguyen et al., Scientific Data 2022;9:429, arXiv 2012.15029;
https://physionet.org/content/vindr-cxr/1.0.0. 15,000 train and 3,000 test images, all PA.
Licence: PhysioNet Credentialed Health Data License 1.5.0: no redistribution.

Layout: ``train/<image_id>.dicom`` and ``test/<image_id>.dicom`` (or .png, .jpg of them) and, in
``annotations/``, ``image_labels_train.csv`` and ``image_labels_test.csv`` (image_id, rad_id but for
test, and a column of 0 and 1 per label) with ``annotations_train.csv`` and ``annotations_test.csv``
(one row per box: class_name, x_min, y_min, x_max, y_max). The format of the Kaggle challenge is
read too: ``train.csv`` with one row per box and reader. If there is neither, that file is taken
from the package ``torchxrayvision``.

Labels: 22 local ones with boxes (aortic enlargement, atelectasis, calcification, cardiomegaly,
clavicle fracture, consolidation, edema, emphysema, enlarged PA, ILD, infiltration, lung opacity,
lung cavity, lung cyst, mediastinal shift, nodule/mass, pleural effusion, pleural thickening,
pneumothorax, pulmonary fibrosis, rib fracture, other lesion) and 6 of the whole image (COPD, lung
tumor, pneumonia, tuberculosis, other diseases, no finding). Three radiologists read each train
image independently: a label given by two or more is positive, by one uncertain; test labels are
the consensus of five and positive. A label that nobody gave is unmentioned.

Known noise: readers agree poorly on opacities; several readers draw the same box; patient ids are
not published, so a patient may be in both splits; ``Other disease`` in the test tables is ``Other
diseases`` in the train tables.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from db.errors import NotFoundError, UserError
from indexer.encoder.weight_files import package_file
from indexer.sources.grouping import Groups, Rows
from indexer.sources.image_files import ImageFiles
from indexer.sources.label_words import labels_of_sentences, sentence_of_label
from indexer.sources.records import (
    NO_LABEL,
    BoundingBox,
    ImageRecord,
    LabelSentence,
    Record,
    SkippedStudy,
    StudyRecord,
    usable_or_skipped,
)
from indexer.sources.split_choice import SplitChoice
from indexer.sources.tables import find_optional, read_table

_SPLITS = ("train", "test")
_SUFFIXES = (".dicom", ".dcm", ".png", ".jpg")
_NOT_LABELS = frozenset({"image_id", "rad_id", ""})
_NOTHING = "No finding"
_CONSENSUS = "consensus"
_ENOUGH = 2
"""Number of readers, out of three, who make a label positive."""
_BOX = ("x_min", "y_min", "x_max", "y_max")


class VinDrCxr:
    """VinDr-CXR, one image per study; its cases hold label sentences instead of reports."""

    name = "vindr-cxr"
    licence = "PhysioNet Credentialed Health Data License 1.5.0: no redistribution"

    def __init__(self, data_dir: Path, *, choice: SplitChoice | None = None) -> None:
        """Raises NotFoundError for a folder with neither tables nor images of VinDr-CXR."""
        self._choice = choice or SplitChoice()
        self.split = self._choice.name
        self._data_dir = data_dir
        self._tables = _find_tables(data_dir)
        self._groups: Groups | None = None

    def records(self) -> Iterator[Record]:
        if self._groups is None:
            self._groups = Groups(
                {
                    f"{split}/{place}": _rows(path)
                    for split, paths in self._tables.items()
                    for place, path in enumerate(paths)
                }
            )
        images = ImageFiles([self._data_dir])
        for study_id, tables in self._groups:
            own = next(iter(tables)).partition("/")[0]
            split = self._choice.split_of(study_id, own)
            if self._choice.includes(split):
                rows = [row for some in tables.values() for row in some]
                yield self._record(study_id, own, rows, split, images)
        images.check(next(iter(self._tables.values()))[0])

    def _record(
        self,
        study_id: str,
        own: str,
        rows: list[dict[str, Any]],
        split: str | None,
        images: ImageFiles,
    ) -> Record:
        sentences = tuple(_sentences(_ticks(rows)))
        if not sentences:
            return SkippedStudy(study_id=study_id, reason=NO_LABEL)
        path = images.find([f"{own}/{study_id}{suffix}" for suffix in _SUFFIXES])
        boxes = tuple(self._boxes(study_id, rows))
        return usable_or_skipped(
            StudyRecord(
                study_id=study_id,
                images=()
                if path is None
                else (ImageRecord(path=path, view_position="PA", boxes=boxes),),
                label_sentences=sentences,
                labels=labels_of_sentences(sentences),
                split=split,
            )
        )

    def _boxes(self, study_id: str, rows: list[dict[str, Any]]) -> Iterator[BoundingBox]:
        for row in rows:
            if not row.get("x_min"):
                continue
            try:
                left, top, right, bottom = (float(row[column]) for column in _BOX)
            except (KeyError, ValueError) as error:
                raise UserError(
                    f"{self._data_dir}: a box of image {study_id} is not four numbers"
                ) from error
            yield BoundingBox(
                name=row["class_name"], left=left, top=top, width=right - left, height=bottom - top
            )


def _find_tables(data_dir: Path) -> dict[str, list[Path]]:
    tables: dict[str, list[Path]] = {}
    for split in _SPLITS:
        found = (
            find_optional(data_dir / "annotations", f"{name}_{split}.csv")
            for name in ("image_labels", "annotations")
        )
        if paths := [path for path in found if path is not None]:
            tables[split] = paths
    if tables:
        return tables
    kaggle = find_optional(data_dir, "train.csv")
    if kaggle is None and not (data_dir / "train").is_dir():
        raise NotFoundError(
            f"{data_dir} has no 'annotations/image_labels_train.csv', no 'train.csv' and no folder "
            "'train': expected the folder of VinDr-CXR"
        )
    return {"train": [kaggle or package_file("torchxrayvision", "data/vinbigdata-train.csv.gz")]}


def _rows(path: Path) -> Rows:
    for _, row in read_table(path, needs=("image_id",)):
        yield row["image_id"], row


def _ticks(rows: list[dict[str, Any]]) -> Mapping[str, set[str]]:
    """Map labels to the readers who gave them; ``consensus`` for a consensus label."""
    ticks: dict[str, set[str]] = {}
    for row in rows:
        reader = row.get("rad_id") or _CONSENSUS
        if "class_name" in row:
            names = [row["class_name"]]
        else:
            names = [
                name
                for name, cell in row.items()
                if name not in _NOT_LABELS and cell in ("1", "1.0")
            ]
        for name in names:
            ticks.setdefault(name, set()).add(reader)
    return ticks


def _sentences(ticks: Mapping[str, set[str]]) -> Iterator[LabelSentence]:
    for name in sorted(ticks):
        sure = len(ticks[name]) >= _ENOUGH or _CONSENSUS in ticks[name]
        if name != _NOTHING:
            yield sentence_of_label(name, "positive" if sure else "uncertain")
        elif sure and len(ticks) == 1:
            yield sentence_of_label(name)
