"""Open-I: the Indiana University chest X-ray collection.

Source: Demner-Fushman et al., JAMIA 2016;23(2):304-310; https://openi.nlm.nih.gov/faq#collection.
Licence: every report states CC BY-NC-ND 4.0; research use, with attribution. Reports and images are
read from the user's files and never stored in this repository.

Layout: ``images/`` with ``<study>_IM-dddd-dddd.dcm.jpg`` (or the collection's own
``CXR<study>_...`` names), ``NLMCXR_reports.tgz`` with one XML file per study, ``projections.json``
(file name to Frontal or Lateral) and ``nlmcxr_dicom_metadata.csv.gz`` (original Rows and
Columns). The last three are optional; reports and metadata also come with the package
``torchxrayvision``.

Labels: none are used; the labeller reads the reports (their MeSH codes are ignored).

Known noise: half of the reports contain the mark of de-identification ``XXXX``; many compare with
an image that is not in the collection; the same template text occurs in many studies. The
collection has one study per patient, so the study number serves as patient id. View Position in the
metadata is wrong too often to be useful.
"""

import csv
import gzip
import re
import tarfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from db.errors import MismatchError, NotFoundError, UserError
from db.files import parse_json
from db.index.store import ViewPosition
from indexer.encoder.weight_files import file_sha256, package_file
from indexer.sources.records import (
    NO_IMAGE,
    NO_REPORT,
    NO_TEXT,
    ImageRecord,
    Record,
    SkippedStudy,
    StudyRecord,
)
from indexer.sources.split_choice import SplitChoice
from indexer.vectors.stored import StoredVectors

SOURCE = "openi"
LICENCE = "CC BY-NC-ND 4.0: research use, non-commercial, no redistribution of reports or images"
_PACKAGE = "torchxrayvision"
_PACKAGE_REPORTS_SHA256 = "8fb6de7eec73d8c3665067ad4bb003ccd57f971ae316d2642e1627ac7268667a"
_IMAGE_NAME = re.compile(r"(?:CXR)?(\d+)_.*\.(?:jpe?g|png|dcm)", re.IGNORECASE)
_MAX_XML = 1_000_000


class OpenI:
    """Open-I, from its image files or from stored vectors of them."""

    name = SOURCE
    licence = LICENCE

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        reports_path: Path | None = None,
        vectors: StoredVectors | None = None,
        splits: Mapping[str, str] | None = None,
        keep: Collection[str] = (),
    ) -> None:
        """Reports come from ``reports_path``, the data directory or the package, in this order.

        ``splits`` (study id to split) and ``keep`` select some splits. Raises UserError with
        neither images nor vectors.
        """
        if data_dir is None and vectors is None:
            raise UserError("source openi needs --data-dir with the images, or --vectors")
        if data_dir is not None and not (data_dir / "images").is_dir():
            raise NotFoundError(f"{data_dir} has no folder 'images' with the Open-I images")
        self._data_dir = data_dir
        self._reports_path = reports_path
        self._vectors = vectors
        self._choice = SplitChoice(keep=frozenset(keep), listed=splits)
        self.image_profile = None if vectors is None else vectors.image_profile
        """The profile of stored vectors; None if images are read."""
        if vectors is not None and vectors.source != SOURCE:
            raise MismatchError(f"these vectors are of source '{vectors.source}', not openi")
        self.embedded_by = None if vectors is None else vectors.encoder
        self.split = vectors.split if vectors is not None and not keep else self._choice.name

    def records(self) -> Iterator[Record]:
        reports = read_reports(self._find_reports())
        images = self._images()
        stored = self._vectors.studies if self._vectors is not None else None
        studies = stored.keys() if stored is not None else images.keys() | reports.keys()
        for study_id in sorted(studies, key=int):
            split = self._choice.split_of(study_id)
            if not self._choice.includes(split):
                continue
            sections = reports.get(study_id)
            if sections is None:
                yield SkippedStudy(study_id=study_id, reason=NO_REPORT)
            elif not (sections["findings"] or sections["impression"]):
                yield SkippedStudy(study_id=study_id, reason=NO_TEXT)
            elif stored is None and study_id not in images:
                yield SkippedStudy(study_id=study_id, reason=NO_IMAGE)
            else:
                yield StudyRecord(
                    study_id=study_id,
                    patient_id=study_id,
                    images=images.get(study_id, ()),
                    indication=sections["indication"],
                    comparison=sections["comparison"],
                    findings=sections["findings"],
                    impression=sections["impression"],
                    embedded=stored[study_id] if stored is not None else None,
                    split=split,
                )

    def _find_reports(self) -> Path:
        if self._reports_path is not None:
            return self._reports_path
        if self._data_dir is not None:
            path = self._data_dir / "NLMCXR_reports.tgz"
            if path.is_file():
                return path
        return packaged_reports()

    def _images(self) -> dict[str, tuple[ImageRecord, ...]]:
        if self._data_dir is None:
            return {}
        views = _read_views(self._data_dir / "projections.json")
        sizes = _read_sizes(self._data_dir / "nlmcxr_dicom_metadata.csv.gz")
        studies: dict[str, list[ImageRecord]] = {}
        for path in sorted((self._data_dir / "images").iterdir()):
            match = _IMAGE_NAME.fullmatch(path.name)
            if match is None:
                continue
            stem = path.name.split(".")[0].removeprefix("CXR")
            studies.setdefault(str(int(match[1])), []).append(
                ImageRecord(
                    path=path,
                    view_position=views.get(path.name),
                    original_size=sizes.get("CXR" + stem),
                )
            )
        if not studies:
            raise NotFoundError(
                f"{self._data_dir / 'images'} has no file named like 1000_IM-0003-1001.dcm.jpg"
            )
        return {study_id: tuple(found) for study_id, found in studies.items()}


def packaged_reports() -> Path:
    """Return the report archive in the installed package, after checking its digest."""
    path = package_file(_PACKAGE, "data/NLMCXR_reports.tgz")
    if file_sha256(path) != _PACKAGE_REPORTS_SHA256:
        raise MismatchError(f"{path} is not the report archive that torchxrayvision publishes")
    return path


def read_reports(path: Path) -> dict[str, dict[str, str]]:
    """Read all reports: study id to indication, comparison, findings and impression.

    Raises UserError if the archive cannot be read.
    """
    reports: dict[str, dict[str, str]] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                stem = Path(member.name).name.removesuffix(".xml")
                if not (member.isfile() and member.name.endswith(".xml") and stem.isdigit()):
                    continue
                stream = archive.extractfile(member)
                if stream is None or member.size > _MAX_XML:
                    continue
                reports[stem] = _sections(stream.read())
    except FileNotFoundError as error:
        raise NotFoundError(f"report archive {path} does not exist") from error
    except (OSError, EOFError, tarfile.TarError, ElementTree.ParseError) as error:
        raise UserError(f"report archive {path} cannot be read: {error}") from error
    if not reports:
        raise UserError(f"report archive {path} holds no file named like 1000.xml")
    return reports


def _sections(xml: bytes) -> dict[str, str]:
    sections = {"indication": "", "comparison": "", "findings": "", "impression": ""}
    for element in ElementTree.fromstring(xml).iter("AbstractText"):
        name = element.get("Label", "").lower()
        if name in sections:
            sections[name] = " ".join("".join(element.itertext()).split())
    return sections


def _read_views(path: Path) -> dict[str, ViewPosition]:
    """Map file names to views; empty if the file is missing."""
    if not path.is_file():
        return {}
    try:
        views = parse_json(path.read_text(encoding="utf-8"))
        return {name: _VIEWS[view] for name, view in views.items() if view in _VIEWS}
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is not a JSON object of file name to view") from error


_VIEWS: dict[str, ViewPosition] = {"Frontal": "FRONTAL", "Lateral": "LATERAL"}


def _read_sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Map image ids to (width, height); falls back to the file in the package."""
    if not path.is_file():
        try:
            path = package_file(_PACKAGE, f"data/{path.name}")
        except NotFoundError:
            return {}
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            return {
                row["imageid"]: (int(row["Columns"]), int(row["Rows"]))
                for row in csv.DictReader(stream)
                if row["Columns"] and row["Rows"]
            }
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise UserError(f"{path} cannot be read as the Open-I metadata: {error}") from error
