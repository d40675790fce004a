"""PadChest: Hospital San Juan de Alicante, 2009 to 2017.

Source: Bustos et al., Medical Image Analysis 2020;66:101797, arXiv 1901.07441;
https://bimcv.cipf.es/bimcv-projects/padchest. 160,868 images, 109,931 studies, 67,625 patients.
Licence: PADCHEST Dataset Research Use Agreement (of CC BY-SA 4.0): research, no redistribution.

Layout: 16-bit PNG files in the folder itself, in ``images/``, or under either in one folder per
archive (``0/`` to ``54/``, the column ImageDir), and the table
``PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv``; if it is missing, the copy in the package
``torchxrayvision`` is used.

Labels: 174 findings, 19 diagnoses and 104 anatomical locations (UMLS); physicians labelled a
quarter of the reports, a network the rest. Each label is worded as an English sentence with its
locations, and the labeller reads the 14 observations from it. The column Report holds Spanish
reduced to stems without accents ("sin hallazg patolog"), which is not readable, so the cases hold
label sentences instead.

Known noise: ``exclude`` and ``suboptimal study`` are labels (``exclude`` skips the study; the
projections COSTAL and EXCLUDE skip an image); 103 rows have the labels ``nan``; labels are repeated
within a row or start with a blank; 21 files are missing or truncated; rows of a study are not
adjacent, and a study may consist of a lateral view alone; one study number has two patients;
``unchanged`` is a label and gives no sentence; the lists by sentence contain a bare nan.
"""

import ast
import re
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
    ImageRecord,
    LabelSentence,
    Record,
    SkippedStudy,
    StudyRecord,
    usable_or_skipped,
)
from indexer.sources.split_choice import SplitChoice
from indexer.sources.tables import find_optional, read_table

_TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
COLUMNS = ("ImageID", "ImageDir", "StudyID", "PatientID", "Projection", "Labels")
_BY_SENTENCE = "LabelsLocalizationsBySentence"
_VIEWS: dict[str, ViewPosition | None] = {
    "PA": "PA",
    "AP": "AP",
    "AP_horizontal": "AP",
    "L": "LATERAL",
    "UNK": None,
}
_SILENT = frozenset({"", "unchanged", "suboptimal study"})
_LOCATION = "loc "
_BARE_NAN = re.compile(r"(?<=[\[ ])nan(?=[,\]])")


class PadChest:
    """PadChest; its cases hold label sentences instead of reports."""

    name = "padchest"
    licence = "PADCHEST Dataset Research Use Agreement: research, no redistribution"

    def __init__(self, data_dir: Path, *, choice: SplitChoice | None = None) -> None:
        """Raises NotFoundError if there is no such folder, UserError for splits without a file."""
        if not data_dir.is_dir():
            raise NotFoundError(f"{data_dir} is not a folder: expected PadChest with its images")
        self._choice = choice or SplitChoice()
        self._choice.require_file(self.name)
        self.split = self._choice.name
        table = find_optional(data_dir, _TABLE)
        self._table = table or package_file("torchxrayvision", f"data/{_TABLE}.gz")
        self._folders = (data_dir, data_dir / "images")
        self._groups: Groups | None = None

    def records(self) -> Iterator[Record]:
        if self._groups is None:
            self._groups = Groups({"image": _by_study(self._table)})
        images = ImageFiles(self._folders)
        for study_id, tables in self._groups:
            split = self._choice.split_of(study_id)
            if self._choice.includes(split):
                yield self._record(study_id, tables["image"], split, images)
        images.check(self._table)

    def _record(
        self, study_id: str, rows: list[dict[str, Any]], split: str | None, radiographs: ImageFiles
    ) -> Record:
        if any("exclude" in self._names(row) for row in rows):
            return SkippedStudy(study_id=study_id, reason="marked 'exclude' by the data set")
        images = {}
        for row in rows:
            if row["Projection"] not in _VIEWS:
                continue
            path = radiographs.find((f"{row['ImageDir']}/{row['ImageID']}", row["ImageID"]))
            if path is not None:
                view = _VIEWS[row["Projection"]]
                images[path] = ImageRecord(path=path, view_position=view)
        sentences = tuple(self._sentences(rows[0]))
        if not sentences:
            return SkippedStudy(study_id=study_id, reason=NO_LABEL)
        patients = {row["PatientID"] for row in rows}
        return usable_or_skipped(
            StudyRecord(
                study_id=study_id,
                patient_id=patients.pop() if len(patients) == 1 else None,
                images=tuple(images.values()),
                label_sentences=sentences,
                labels=labels_of_sentences(sentences),
                split=split,
            )
        )

    def _names(self, row: dict[str, Any]) -> list[str]:
        return [name.strip() for name in self._parse(row, "Labels")]

    def _sentences(self, row: dict[str, Any]) -> Iterator[LabelSentence]:
        """Yield one label sentence per finding, with its locations."""
        labels = self._names(row)
        worded: set[str] = set()
        for part in self._parse(row, _BY_SENTENCE) if row.get(_BY_SENTENCE) else []:
            names = [name.strip() for name in part]
            locations = [
                name.removeprefix(_LOCATION) for name in names if name.startswith(_LOCATION)
            ]
            for name in names:
                # Labels by sentence are more specific ("pleural effusion both sides").
                if name in labels and name not in worded and name != "normal":
                    worded.add(name)
                    if name not in _SILENT:
                        yield sentence_of_label(name, where=dict.fromkeys(locations))
        for name in dict.fromkeys(labels):
            if (
                name not in worded
                and name not in _SILENT
                and (name != "normal" or len(labels) == 1)
            ):
                yield sentence_of_label(name)

    def _parse(self, row: dict[str, Any], column: str) -> list[Any]:
        text = row[column]
        if text in ("", "nan"):
            return []
        try:
            values = ast.literal_eval(_BARE_NAN.sub("[]", text))
        except (ValueError, SyntaxError) as error:
            raise UserError(
                f"{self._table}: {column} of {row['ImageID']} is not a list ({text[:60]})"
            ) from error
        return values if isinstance(values, list) else []


def _by_study(path: Path) -> Rows:
    for _, row in read_table(path, needs=COLUMNS):
        yield row["StudyID"], row
