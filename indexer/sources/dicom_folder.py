"""A folder of DICOM files, as a scanner, an archive or a PACS exports it.

Source and licence: the user's own. Layout: any; files are recognised by their content, whatever
their names, and anything other than chest radiographs and structured reports (a DICOMDIR, a CT, a
hand) is ignored. Study, series and order come from the headers (StudyInstanceUID, SeriesNumber,
InstanceNumber). The patient id is the unchanged PatientID: pseudonymise it before an index leaves
your institution.

Reports: structured reports (SR) of the same study, the latest one if there are several, verified
ones first; or a CSV or Parquet table named by ``--reports``, with a column ``study_id``
(StudyInstanceUID) or ``accession_number``, and ``text``, ``findings`` or ``impression``; map other
names with ``--columns``. A row of the table takes precedence over a structured report; several rows
of a study are joined.

Labels: none; the labeller reads the report. Known noise: files may be repeated (recognised by
SOPInstanceUID); one study number may stand for two examinations; ViewPosition is empty or free
text; reports contain the language and the names that the hospital used.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from db.errors import NotFoundError, UserError
from indexer.sources.dicom_files import describe_file
from indexer.sources.grouping import Groups, Rows
from indexer.sources.records import (
    TWO_PATIENTS,
    ImageRecord,
    Record,
    SkippedStudy,
    StudyRecord,
    check_identifier,
    read_date,
    usable_or_skipped,
)
from indexer.sources.split_choice import SplitChoice
from indexer.sources.structured_report import read_documents
from indexer.sources.study_values import TEXTS, read_texts
from indexer.sources.tables import read_table

NO_REPORT = "no report (a structured report in the folder, or a row of --reports)"
STRAY = "DICOM file without a StudyInstanceUID"

_KEYS = ("study_id", "accession_number")


class DicomFolder:
    """Studies of the DICOM files under a folder."""

    licence = "the owner's"

    def __init__(
        self,
        data_dir: Path,
        *,
        name: str = "local",
        reports_path: Path | None = None,
        columns: Mapping[str, str] | None = None,
        choice: SplitChoice | None = None,
        accept_as_chest: bool = False,
    ) -> None:
        """``accept_as_chest`` takes every image, whatever modality and body part its header names.

        Raises NotFoundError if the folder or the table is missing.
        """
        if not data_dir.is_dir():
            raise NotFoundError(f"{data_dir} is not a folder: --data-dir names one of DICOM files")
        if reports_path is not None and not reports_path.is_file():
            raise NotFoundError(f"{reports_path} does not exist: --reports names a table")
        self.name = check_identifier(name, "source name")
        self._choice = choice or SplitChoice()
        self._choice.require_file(self.name)
        self.split = self._choice.name
        self._data_dir = data_dir
        self._accept_as_chest = accept_as_chest
        self._reports_path = reports_path
        self._columns = columns or {}
        self._groups: Groups | None = None

    def records(self) -> Iterator[Record]:
        if self._groups is None:
            self._groups = self._read()
        matched, studies = False, 0
        for study_id, tables in self._groups:
            if "stray" in tables:
                yield SkippedStudy(study_id=study_id, reason=STRAY)
            if "image" not in tables and "sr" not in tables:
                continue
            studies += 1
            matched |= "report" in tables
            split = self._choice.split_of(study_id)
            if self._choice.includes(split):
                yield self._record(study_id, tables, split)
        if self._reports_path is not None and not matched:
            raise NotFoundError(
                f"no row of {self._reports_path} belongs to any of the {studies} studies in "
                f"{self._data_dir}: expected their StudyInstanceUID under 'study_id' or their "
                "AccessionNumber under 'accession_number'"
            )

    def _read(self) -> Groups:
        """Group files and reports by study, matching reports by accession number if necessary."""
        key, reports = self._reports()
        given: dict[str, Rows] = {"file": self._files()}
        if key == "accession_number":
            given["report"] = reports
        by_accession = Groups(given)
        if not any("file" in tables for _, tables in by_accession):
            raise NotFoundError(
                f"{self._data_dir} holds no DICOM file of a chest radiograph or structured report"
            )
        return Groups(
            {
                "image": _of_kind(by_accession, "image"),
                "sr": _of_kind(by_accession, "sr"),
                "stray": _of_kind(by_accession, "stray"),
                "report": _by_study(by_accession) if key == "accession_number" else reports,
            }
        )

    def _record(
        self, study_id: str, tables: dict[str, list[dict[str, Any]]], split: str | None
    ) -> Record:
        stated = {row["patient"] for some in tables.values() for row in some if "patient" in row}
        patients = sorted(stated - {""})
        if len(patients) > 1:
            return SkippedStudy(
                study_id=study_id, reason=TWO_PATIENTS, detail=f"patients {', '.join(patients)}"
            )
        texts = self._texts(tables)
        found = read_texts(texts)
        if not texts:
            rows = sorted(tables.get("sr", []), key=lambda row: row["order"])
            documents = read_documents([Path(row["path"]) for row in rows])
            if documents is None:
                return SkippedStudy(study_id=study_id, reason=NO_REPORT)
            found = documents
        images = sorted(
            {row["instance"]: row for row in tables.get("image", [])}.values(),
            key=lambda row: (row["order"], row["path"]),
        )
        return usable_or_skipped(
            StudyRecord(
                study_id=study_id,
                patient_id=patients[0] if patients else None,
                study_date=next((date for row in images if (date := read_date(row["date"]))), None),
                images=tuple(
                    ImageRecord(path=Path(row["path"]), view_position=row["view"]) for row in images
                ),
                indication=found.indication,
                comparison=found.comparison,
                findings=found.findings,
                impression=found.impression,
                split=split,
                notes=found.remarks,
            )
        )

    def _texts(self, tables: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
        """Return what the table says of a study; empty if it has no row."""
        rows = tables.get("report", [])
        texts = {
            key: "\n\n".join(dict.fromkeys(row[key] for row in rows if row.get(key)))
            for key in TEXTS
        }
        return texts if rows else {}

    def _files(self) -> Rows:
        """Yield a row per relevant file, by accession number."""
        for folder, folders, names in os.walk(self._data_dir):
            folders.sort()
            for name in sorted(names):
                row = describe_file(Path(folder) / name, self._accept_as_chest)
                if row is not None:
                    yield row["accession"], row

    def _reports(self) -> tuple[str, Rows]:
        """Return the key column of the report table, and its rows by that key."""
        if self._reports_path is None:
            return "study_id", ()
        _, row = next(read_table(self._reports_path), ("", {}))
        key = next((one for one in _KEYS if self._columns.get(one, one) in row), None)
        texts = [name for name in TEXTS if self._columns.get(name, name) in row]
        if key is None or not {"text", "findings", "impression"} & set(texts):
            raise UserError(
                f"{self._reports_path} needs a column 'study_id' or 'accession_number' and one of "
                f"'text', 'findings', 'impression': it has {', '.join(map(str, row))[:300]}; name "
                "others by --columns"
            )
        return key, self._report_rows(self._reports_path, key, texts)

    def _report_rows(self, path: Path, key: str, texts: list[str]) -> Rows:
        for place, row in read_table(path):
            value = _cell(row, self._columns.get(key, key))
            if not value:
                raise UserError(
                    f"{place}: {key} is empty, so the report cannot be matched to a study"
                )
            yield value, {name: _cell(row, self._columns.get(name, name)) for name in texts}


def _cell(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()


def _of_kind(files: Groups, kind: str) -> Rows:
    for _, tables in files:
        for row in tables.get("file", []):
            if row["kind"] == kind:
                yield row["study"], row


def _by_study(by_accession: Groups) -> Rows:
    for _, tables in by_accession:
        for study in dict.fromkeys(row["study"] for row in tables.get("file", [])):
            for report in tables.get("report", []):
                yield study, report
