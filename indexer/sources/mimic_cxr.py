"""MIMIC-CXR (DICOM) and MIMIC-CXR-JPG: Beth Israel Deaconess Medical Center, 2011 to 2016.

Source: Johnson et al., MIMIC-CXR, Scientific Data 2019;6:317 (reports, DICOM); Johnson et al.,
MIMIC-CXR-JPG, arXiv 1901.07042 (JPEG, labels, split); https://physionet.org/content/mimic-cxr and
/mimic-cxr-jpg. 377,110 images, 227,835 studies, 65,379 patients.
Licence: PhysioNet Credentialed Health Data License 1.5.0: credentialed access, no redistribution.

Layout: ``files/p10/p10000032/s50414267/<dicom_id>.jpg`` (or ``.dcm``), and beside ``files``
``mimic-cxr-2.0.0-metadata.csv.gz`` (MIMIC-CXR-JPG) or ``cxr-record-list.csv.gz`` (MIMIC-CXR, whose
views come from the headers), ``mimic-cxr-2.0.0-split.csv.gz`` (by image; ``validate`` is read as
val) and ``mimic-cxr-2.0.0-chexpert.csv.gz`` or, without it, ``...-negbio.csv.gz``. Reports are
``files/p10/p10000032/s50414267.txt`` under the same folder, or in ``mimic-cxr-reports.zip`` or a
folder of it named by ``--reports``; they are part of MIMIC-CXR alone.

Labels: the 14 CheXpert observations, 1, 0, -1 (uncertain) or empty (unmentioned), read from the
impression or else the findings by the labeler that names the file. The project's labeller reads the
report of a study that the file omits.

Known noise: identifying words are replaced by ``___``, often along with measurements; many reports
compare with earlier images; a third have no FINDINGS heading and put everything under IMPRESSION,
in one paragraph without a heading or after WET READ; a study may have several frontal images
(repeated or portable), or a lateral view alone; ViewPosition is empty for about 4 % of the images.
"""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from db.errors import NotFoundError, UserError
from db.index.store import ViewPosition
from indexer.images.dicom_header import read_view
from indexer.reports.sections.parse import parse_report
from indexer.sources.csv_rows import decode_text
from indexer.sources.grouping import Groups, Rows
from indexer.sources.image_files import ImageFiles
from indexer.sources.label_words import chexpert_labels
from indexer.sources.records import (
    NO_REPORT,
    ImageRecord,
    Record,
    SkippedStudy,
    StudyRecord,
    read_date,
    usable_or_skipped,
)
from indexer.sources.split_choice import SplitChoice
from indexer.sources.tables import find_optional, find_table, read_table

_PREFIX = "mimic-cxr-2.0.0-"
_REPORTS = "mimic-cxr-reports.zip"
_SPLITS = {"validate": "val"}
_LONGEST_REPORT = 200_000


class MimicCxr:
    """MIMIC-CXR with its reports; views, split and labels if their tables exist."""

    name = "mimic-cxr"
    licence = "PhysioNet Credentialed Health Data License 1.5.0: no redistribution"

    def __init__(
        self,
        data_dir: Path,
        *,
        reports_path: Path | None = None,
        choice: SplitChoice | None = None,
    ) -> None:
        """Raises NotFoundError if a table or the reports are missing."""
        self._choice = choice or SplitChoice()
        self.split = self._choice.name
        self._images = find_table(
            data_dir,
            f"{_PREFIX}metadata.csv",
            "cxr-record-list.csv",
            what="which lists the images of MIMIC-CXR-JPG or of MIMIC-CXR",
        )
        self._splits = find_optional(data_dir, f"{_PREFIX}split.csv")
        if self._choice.keep and self._choice.listed is None and self._splits is None:
            raise NotFoundError(
                f"{data_dir} has no '{_PREFIX}split.csv' (or .gz of it), which --split needs"
            )
        self._labels = find_optional(data_dir, f"{_PREFIX}chexpert.csv", f"{_PREFIX}negbio.csv")
        self._folders = (data_dir / "files", data_dir)
        self._reports = _find_reports(data_dir, reports_path)
        self._groups: Groups | None = None

    def records(self) -> Iterator[Record]:
        if self._groups is None:
            self._groups = Groups(self._tables())
        images = ImageFiles(self._folders)
        for study_id, tables in self._groups:
            if "image" not in tables:
                continue
            own = next((row["split"] for row in tables.get("split", [])), None)
            split = self._choice.split_of(study_id, _SPLITS.get(own, own) if own else None)
            if self._choice.includes(split):
                yield self._record(study_id, tables, split, images)
        images.check(self._images)

    def _tables(self) -> Mapping[str, Rows]:
        tables = {"image": _by_study(self._images, "subject_id", "dicom_id")}
        if self._splits is not None:
            tables["split"] = _by_study(self._splits, "split")
        if self._labels is not None:
            tables["labels"] = _by_study(self._labels)
        return tables

    def _record(
        self,
        study_id: str,
        tables: dict[str, list[dict[str, Any]]],
        split: str | None,
        radiographs: ImageFiles,
    ) -> Record:
        patient_id = tables["image"][0]["subject_id"]
        folder = f"p{patient_id[:2]}/p{patient_id}"
        text = self._reports.read(f"{folder}/s{study_id}.txt")
        if text is None:
            return SkippedStudy(study_id=study_id, reason=NO_REPORT)
        images = {}
        for row in tables["image"]:
            stem = f"{folder}/s{study_id}/{row['dicom_id']}"
            path = radiographs.find((f"{stem}.jpg", f"{stem}.dcm", f"{stem}.png"))
            if path is not None:
                images[path] = ImageRecord(path=path, view_position=_view(row))
        sections = parse_report(text)
        labels = None
        for row in tables.get("labels", [])[:1]:
            labels = chexpert_labels(row, f"{self._labels}, study {study_id}")
        return usable_or_skipped(
            StudyRecord(
                study_id=study_id,
                patient_id=patient_id,
                study_date=read_date(tables["image"][0].get("StudyDate")),
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


def _by_study(path: Path, *needs: str) -> Rows:
    for _, row in read_table(path, needs=("study_id", *needs)):
        yield row["study_id"], row


def _view(row: dict[str, Any]) -> ViewPosition | None:
    return read_view(row.get("ViewPosition"))


class _Reports(Protocol):
    def read(self, name: str) -> str | None:
        """The text of ``p10/p10000032/s50414267.txt``, or None."""
        ...


class _ReportFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> str | None:
        path = self._folder / name
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            return decode_text(stream.read(_LONGEST_REPORT))


class _ReportArchive:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is not a ZIP archive of reports ({error})") from error

    def read(self, name: str) -> str | None:
        try:
            with self._archive.open(f"files/{name}") as stream:
                return decode_text(stream.read(_LONGEST_REPORT))
        except KeyError:
            return None
        except (OSError, zipfile.BadZipFile) as error:
            raise UserError(f"{self._path}: {name} cannot be read ({error})") from error


def _find_reports(data_dir: Path, given: Path | None) -> _Reports:
    if given is not None and not given.exists():
        raise NotFoundError(f"{given} does not exist: --reports names {_REPORTS} or its folder")
    places = [given] if given is not None else [data_dir / _REPORTS, data_dir]
    for place in places:
        if place.is_file():
            return _ReportArchive(place)
        for folder in (place / "files", place):
            # Look one level down, not through the whole tree: at p10/p10000032, say.
            for patient in sorted(folder.glob("p1[0-9]/p*"))[:50]:
                if next(patient.glob("s*.txt"), None) is not None:
                    return _ReportFolder(folder)
    raise NotFoundError(
        f"no reports in {places[-1]}: expected files/p10/p10000032/s50414267.txt there, or "
        f"{_REPORTS} of MIMIC-CXR named by --reports (MIMIC-CXR-JPG comes without them)"
    )
