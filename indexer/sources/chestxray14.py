"""ChestX-ray14: NIH Clinical Center; labels without reports.

Source: Wang et al., CVPR 2017, arXiv 1705.02315; https://nihcc.app.box.com/v/ChestXray-NIHCC.
112,120 frontal images of 30,805 patients.
Licence: no restriction on use; acknowledge the NIH Clinical Center and cite the paper.

Layout: PNG files ``00000001_000.png`` (or JPEG conversions with the same stems) in ``images/``, in
``images_001/images/`` to ``images_012/images/``, or in the folder itself;
``Data_Entry_2017_v2020.csv`` or ``Data_Entry_2017.csv`` and ``BBox_List_2017.csv`` (if missing, the
copies in the package ``torchxrayvision``); optionally ``train_val_list.txt`` and ``test_list.txt``,
the official split by patient, which are read as train and test.

Labels: Atelectasis, Cardiomegaly, Consolidation, Edema, Effusion, Emphysema, Fibrosis, Hernia,
Infiltration, Mass, Nodule, Pleural_Thickening, Pneumonia, Pneumothorax, or No Finding: mined from
reports that are not published. A label that is not listed is unmentioned, and No Finding means none
of these 14: images with a fracture or a tube have it too.

Known noise: the authors claim above 90 % precision, but radiologists found far less for some labels
(Oakden-Rayner 2020); ages above 120 occur; every image was resized to 1024 x 1024, which distorts
most of them (undone here); a few are inverted or rotated. Boxes: 984 on 880 images, with Infiltrate
for Infiltration.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from db.errors import NotFoundError, UserError
from db.index.store import ViewPosition
from indexer.encoder.weight_files import package_file
from indexer.sources.grouping import Groups, Rows
from indexer.sources.image_files import ImageFiles
from indexer.sources.label_words import labels_of_sentences, sentence_of_label
from indexer.sources.records import (
    NO_LABEL,
    BoundingBox,
    ImageRecord,
    Record,
    SkippedStudy,
    StudyRecord,
    usable_or_skipped,
)
from indexer.sources.split_choice import SplitChoice
from indexer.sources.tables import find_optional, read_table

_PACKAGE = "torchxrayvision"
_LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}
_VIEWS: dict[str, ViewPosition] = {"PA": "PA", "AP": "AP"}
_SIZE = ("OriginalImage[Width", "Height]")
_BOX = ("Bbox [x", "y", "w", "h]")


class ChestXray14:
    """ChestX-ray14, one image per study; its cases hold label sentences instead of reports."""

    name = "chestxray14"
    licence = "NIH Clinical Center: free to use, with acknowledgement and citation"

    def __init__(self, data_dir: Path, *, choice: SplitChoice | None = None) -> None:
        """Raises NotFoundError if the folder is missing, or the lists of requested splits."""
        if not data_dir.is_dir():
            raise NotFoundError(f"{data_dir} is not a folder with ChestX-ray14 and its images")
        self._choice = choice or SplitChoice()
        self.split = self._choice.name
        table = find_optional(data_dir, "Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
        boxes = find_optional(data_dir, "BBox_List_2017.csv")
        self._table = table or package_file(_PACKAGE, "data/Data_Entry_2017_v2020.csv.gz")
        self._boxes = boxes or package_file(_PACKAGE, "data/BBox_List_2017.csv.gz")
        self._lists = {
            split: data_dir / name for split, name in _LISTS.items() if (data_dir / name).is_file()
        }
        if self._choice.keep and self._choice.listed is None and not self._lists:
            raise NotFoundError(
                f"{data_dir} has no 'train_val_list.txt' or 'test_list.txt', which --split needs"
            )
        self._folders = [
            *(folder for folder in (data_dir / "images", data_dir) if folder.is_dir()),
            *sorted(data_dir.glob("images_[0-9]*/images")),
        ]
        self._groups: Groups | None = None

    def records(self) -> Iterator[Record]:
        if self._groups is None:
            tables = {"image": _by_image(self._table, "Finding Labels", "Patient ID")}
            tables["box"] = _by_image(self._boxes, "Finding Label", *_BOX)
            for part, path in self._lists.items():
                tables[part] = _listed(path)
            self._groups = Groups(tables)
        images = ImageFiles(self._folders)
        for name, tables_of in self._groups:
            if "image" not in tables_of:
                continue
            study_id = Path(name).stem
            own = next((split for split in _LISTS if split in tables_of), None)
            split = self._choice.split_of(study_id, own)
            if self._choice.includes(split):
                yield self._record(name, tables_of, split, images)
        images.check(self._table)

    def _record(
        self,
        name: str,
        tables: dict[str, list[dict[str, Any]]],
        split: str | None,
        radiographs: ImageFiles,
    ) -> Record:
        row = tables["image"][0]
        labels = dict.fromkeys(label for label in row["Finding Labels"].split("|") if label)
        if not labels:
            return SkippedStudy(study_id=Path(name).stem, reason=NO_LABEL)
        path = radiographs.find([name, f"{Path(name).stem}.jpg"])
        sentences = tuple(sentence_of_label(label) for label in labels)
        images = (
            ImageRecord(
                path=path,
                view_position=_VIEWS.get(row.get("View Position", ""), "FRONTAL"),
                original_size=self._size(name, row),
                boxes=tuple(self._box(name, box) for box in tables.get("box", [])),
            )
            for path in ([path] if path is not None else [])
        )
        return usable_or_skipped(
            StudyRecord(
                study_id=Path(name).stem,
                patient_id=row["Patient ID"],
                images=tuple(images),
                label_sentences=sentences,
                labels=labels_of_sentences(sentences),
                split=split,
            )
        )

    def _size(self, name: str, row: dict[str, str]) -> tuple[int, int] | None:
        try:
            width, height = (int(float(row[column])) for column in _SIZE)
        except KeyError:
            return None
        except ValueError as error:
            raise UserError(
                f"{self._table}: the original size of {name} is not a number"
            ) from error
        return (width, height) if width > 0 and height > 0 else None

    def _box(self, name: str, row: dict[str, str]) -> BoundingBox:
        try:
            left, top, width, height = (float(row[column]) for column in _BOX)
        except ValueError as error:
            raise UserError(f"{self._boxes}: a box of {name} is not four numbers") from error
        label = row["Finding Label"].replace("Infiltrate", "Infiltration")
        return BoundingBox(name=label, left=left, top=top, width=width, height=height)


def _by_image(path: Path, *needs: str) -> Rows:
    for _, row in read_table(path, needs=("Image Index", *needs)):
        yield row["Image Index"], row


def _listed(path: Path) -> Rows:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.strip():
                yield line.strip(), {}
