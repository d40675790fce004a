"""CheXpert Plus: the images of CheXpert with their reports.

Source: Chambon et al., CheXpert Plus, 2024, arXiv 2405.19538; https://stanfordaimi.azurewebsites.net
/datasets/5158c524-d3ab-4e02-96e9-6ee9efc110a1. 223,462 images, 187,711 studies, 64,725 patients.
Licence: Stanford University Dataset Research Use Agreement: no redistribution, non-commercial.

Layout: ``df_chexpert_plus_240401.csv`` with a row per image (path_to_image, frontal_lateral, ap_pa,
deid_patient_id, split, report and the report's sections as section_...), images under ``PNG/`` (or
``PNG/PNG/``, if the archive was unpacked into a folder of its own name), ``PNGs/``, ``DICOM/`` or
the folder itself, and optionally ``chexbert_labels/report_fixed.json`` (one JSON object per line:
path_to_image and the 14 observations) or the same for findings or impression alone.

Labels: the 14 CheXpert observations by CheXbert: 1, 0, -1 (uncertain) or null (unmentioned).
Without that file the labeller reads the report. ``valid`` is read as val.

Known noise: path_to_image ends in .jpg although the files are .png; each row of a study repeats the
report; many reports consist of an impression alone; section_impression may continue in
section_end_of_impression; names are replaced by invented ones ("Dr. Roe") and dates are shifted;
the publishers' section parser leaves numbers and addenda in the impression.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import parse_json
from indexer.reports.sections.parse import ParsedReport, parse_report
from indexer.sources.chexpert import read_view_columns, study_id_from_path
from indexer.sources.grouping import Groups, Rows
from indexer.sources.image_files import ImageFiles
from indexer.sources.label_words import chexpert_labels
from indexer.sources.records import ImageRecord, Record, StudyRecord, usable_or_skipped
from indexer.sources.split_choice import SplitChoice
from indexer.sources.tables import find_optional, find_table, read_table

_TABLE = "df_chexpert_plus_240401.csv"
_LABELS = tuple(
    f"chexbert_labels/{part}_fixed.json" for part in ("report", "findings", "impression")
)
_FOLDERS = ("PNG", "PNG/PNG", "PNGs", "DICOM", "")
_SPLITS = {"valid": "val", "validate": "val"}


class CheXpertPlus:
    """CheXpert Plus with its reports."""

    name = "chexpert-plus"
    licence = "Stanford University Dataset Research Use Agreement: no redistribution"

    def __init__(self, data_dir: Path, *, choice: SplitChoice | None = None) -> None:
        """Raises NotFoundError if the table is not in ``data_dir``."""
        self._choice = choice or SplitChoice()
        self.split = self._choice.name
        self._table = find_table(data_dir, _TABLE, what="the table of CheXpert Plus")
        self._labels = find_optional(data_dir, *_LABELS)
        self._folders = [data_dir / name for name in _FOLDERS]
        self._groups: Groups | None = None

    def records(self) -> Iterator[Record]:
        if self._groups is None:
            tables = {"image": _rows(self._table)}
            if self._labels is not None:
                tables["labels"] = _label_rows(self._labels)
            self._groups = Groups(tables)
        images = ImageFiles(self._folders)
        for study_id, rows in self._groups:
            if "image" not in rows:
                continue
            own = rows["image"][0].get("split") or None
            split = self._choice.split_of(study_id, _SPLITS.get(own, own) if own else None)
            if self._choice.includes(split):
                yield self._record(study_id, rows, split, images)
        images.check(self._table)

    def _record(
        self,
        study_id: str,
        tables: dict[str, list[dict[str, Any]]],
        split: str | None,
        radiographs: ImageFiles,
    ) -> Record:
        rows = tables["image"]
        images = {}
        for row in rows:
            stem = str(Path(row["path_to_image"]).with_suffix(""))
            names = [f"{stem}.png", f"{stem}.jpg"]
            path = radiographs.find([*names, row.get("path_to_dcm") or f"{stem}.dcm"])
            if path is not None:
                images[path] = ImageRecord(path=path, view_position=read_view_columns(row, stem))
        sections = _sections(rows[0])
        labels = None
        for row in tables.get("labels", [])[:1]:
            labels = chexpert_labels(row, f"{self._labels}, {row['path_to_image']}")
        return usable_or_skipped(
            StudyRecord(
                study_id=study_id,
                patient_id=rows[0].get("deid_patient_id") or study_id.partition("-")[0],
                images=tuple(images.values()),
                indication=sections.indication,
                comparison=sections.comparison,
                findings=sections.findings,
                impression=sections.impression,
                labels=labels,
                split=split,
                notes=sections.remarks,
            )
        )


def _sections(row: dict[str, str]) -> ParsedReport:
    """Return the published sections; without findings and impression, those of the report."""

    def joined(*names: str) -> str:
        parts = (row.get(f"section_{name}", "").strip() for name in names)
        return "\n".join(part for part in parts if part)

    findings, impression = joined("findings"), joined("impression", "end_of_impression", "summary")
    if not (findings or impression):
        return parse_report(row.get("report") or row.get("section_narrative", ""))
    return ParsedReport(
        indication=joined("clinical_history", "history"),
        comparison=joined("comparison"),
        findings=findings,
        impression=impression,
    )


def _rows(path: Path) -> Rows:
    for place, row in read_table(path, needs=("path_to_image", "section_impression")):
        yield study_id_from_path(row["path_to_image"], place), row


def _label_rows(path: Path) -> Rows:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                values = parse_json(line)
                row = {name: "" if value is None else str(value) for name, value in values.items()}
                image = row["path_to_image"]
            except (ValueError, AttributeError, KeyError) as error:
                raise UserError(f"{place}: not a JSON object with 'path_to_image'") from error
            yield study_id_from_path(image, place), row
