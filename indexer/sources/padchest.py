"""PadChest: Hospital San Juan de Alicante, 2009 to 2017.

Source: Bustos et al., Medical Image Analysis 2020;66:101797, arXiv 1901.07441;
https://bimcv.cipf.es/bimcv-projects/padchest. 160,868 images, 109,931 studies, 67,625 patients.
Licence: PADCHEST Dataset Research Use Agreement (of CC BY-SA 4.0): research, no redistribution.

Layout: 16-bit PNG files in the folder itself, in ``images/``, or in a folder an archive (``0/`` to
``54/``, the column ImageDir) under either, and the table
``PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv``, which comes with the package
``torchxrayvision`` where it is not there.

Labels: 174 findings, 19 diagnoses and 104 places (UMLS), a quarter of the reports read by
physicians, the rest by a network. They are stated in English a sentence of the report each, with
the places, and read as the 14 observations by the labeller where they are among them. What the
table calls a Report is Spanish cut down to stems without accents ("sin hallazg patolog"), no text
that can be shown or read: the cases hold label sentences in its place.

Known noise: ``exclude`` and ``suboptimal study`` are labels (the first leaves a study out, as the
projections COSTAL and EXCLUDE leave out an image); 103 rows have the labels ``nan``; labels occur
twice in a row or with a blank in front; 21 files are missing or cut short; rows of a study do not
stand together and a study may be a lateral alone; one study number has two patients; ``unchanged``
is a label and is not stated; the lists by sentence hold a bare nan.
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
_PLACE = "loc "
_BARE_NAN = re.compile(r"(?<=[\[ ])nan(?=[,\]])")


class PadChest:
    """PadChest; its cases hold label sentences in place of a report."""

    name = "padchest"
    licence = "PADCHEST Dataset Research Use Agreement: research, no redistribution"

    def __init__(self, data_dir: Path, *, choice: SplitChoice | None = None) -> None:
        """Raises NotFoundError for a folder that is not there, UserError for splits unnamed."""
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
        """A label sentence a finding, with its places; a finding is said once."""
        labels = self._names(row)
        told: set[str] = set()
        for part in self._parse(row, _BY_SENTENCE) if row.get(_BY_SENTENCE) else []:
            names = [name.strip() for name in part]
            places = [name.removeprefix(_PLACE) for name in names if name.startswith(_PLACE)]
            for name in names:
                # The sentences are finer than the labels ("pleural effusion both sides").
                if name in labels and name not in told and name != "normal":
                    told.add(name)
                    if name not in _SILENT:
                        yield sentence_of_label(name, where=dict.fromkeys(places))
        for name in dict.fromkeys(labels):
            if name not in told and name not in _SILENT and (name != "normal" or len(labels) == 1):
                yield sentence_of_label(name)

    def _parse(self, row: dict[str, Any], column: str) -> list[Any]:
        text = row[column]
        if text in ("", "nan"):
            return []
        try:
            values = ast.literal_eval(_BARE_NAN.sub("[]", text))
        except (ValueError, SyntaxError) as error:
            raise UserError(
                f"{self._table}: {column} of {row['ImageID']} is no list ({text[:60]})"
            ) from error
        return values if isinstance(values, list) else []


def _by_study(path: Path) -> Rows:
    for _, row in read_table(path, needs=COLUMNS):
        yield row["StudyID"], row
