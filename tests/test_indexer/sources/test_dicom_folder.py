"""A folder of DICOM files: studies from the headers, reports from a table or structured reports."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
)

from db.errors import NotFoundError, UserError
from indexer.sources.dicom_folder import NO_REPORT, STRAY, DicomFolder
from indexer.sources.records import TWO_PATIENTS, SkippedStudy, StudyRecord
from indexer.sources.split_choice import SplitChoice
from indexer.sources.structured_report import read_structured_report
from tests.support.builds import build_and_search
from tests.support.dicoms import UID_ROOT, code, item, write_dicom, write_sr
from tests.support.radiographs import draw_radiograph

ROOT = UID_ROOT


def image(path: Path, seed: int, study: str, instance: str, **attributes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"StudyInstanceUID": f"{ROOT}.{study}", "SOPInstanceUID": f"{ROOT}.9.{instance}"}
    return write_dicom(path, draw_radiograph(seed, size=(96, 80)), **(header | attributes))


def full_report(impression: str = "Herz groß, naïve Aufnahme.") -> list[Dataset]:
    return [
        item("PNAME", code("121008", "DCM", "Person Observer Name")),
        item(
            "CONTAINER",
            code("121060", "DCM", "History"),
            [item("TEXT", code("121060", "DCM", "History"), "Fever.")],
        ),
        item(
            "CONTAINER",
            code("121070", "DCM", "Findings"),
            [
                item("TEXT", code("121071", "DCM", "Finding"), "The heart is large."),
                item(
                    "CODE",
                    code("121071", "DCM", "Finding"),
                    code("60046008", "SCT", "Pleural effusion"),
                ),
            ],
        ),
        item("TEXT", code("18834-2", "LN", "Previous Findings"), "Film of last week."),
        item("TEXT", code("121073", "DCM", "Impression"), impression),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "export"
    view = {"ViewPosition": "LL", "SeriesNumber": 2, "InstanceNumber": 1, "PatientID": "P1"}
    front = {"SeriesNumber": 1, "InstanceNumber": 3, "PatientID": "P1", "AccessionNumber": "A-1"}
    image(root / "a/IM1", 1, "1", "1", **view)
    image(root / "a/IM0", 2, "1", "2", **front)
    image(root / "copy/IM0", 2, "1", "2", **front)  # the same instance again
    image(root / "a/hand", 3, "1", "3", BodyPartExamined="HAND")
    image(root / "a/ct", 3, "1", "4", Modality="CT")
    deflated = {"syntax": DeflatedExplicitVRLittleEndian, "AccessionNumber": "A-2"}
    image(root / "b/x.dcm", 4, "2", "5", **deflated)  # no report of its own
    image(root / "b/stray.dcm", 5, "2", "6", StudyInstanceUID=None)
    (root / "b/notes.txt").write_text("no DICOM file")
    (root / "b/cut.dcm").write_bytes((root / "b/x.dcm").read_bytes()[:140])
    write_sr(root / "sr/early", "1", full_report("Early."), ContentDate="20230101")
    write_sr(root / "sr/final", "1", full_report(), VerificationFlag="VERIFIED")
    write_sr(root / "sr/late", "1", full_report("Draft."), ContentDate="20250101")
    write_sr(root / "sr/alone", "3", full_report())
    return root


def test_studies_series_and_order_come_from_the_headers(folder: Path) -> None:
    records = {record.study_id: record for record in DicomFolder(folder).records()}
    study = records[f"{ROOT}.1"]
    assert isinstance(study, StudyRecord)
    assert [image.path.name for image in study.images] == ["IM0", "IM1"]
    assert [image.view_position for image in study.images] == ["PA", "LATERAL"]
    assert study.patient_id == "P1"
    reasons = {r.study_id: r.reason for r in records.values() if isinstance(r, SkippedStudy)}
    assert reasons == {f"{ROOT}.2": NO_REPORT, f"{ROOT}.3": "no image", "stray.dcm": STRAY}


def test_the_verified_structured_report_is_read(folder: Path) -> None:
    study = next(r for r in DicomFolder(folder).records() if isinstance(r, StudyRecord))
    assert study.indication == "Fever."
    assert study.comparison == "Film of last week."
    assert study.findings == "The heart is large.\nPleural effusion."
    assert study.impression == "Herz groß, naïve Aufnahme."


def test_a_structured_report_may_be_one_text_with_headings(tmp_path: Path) -> None:
    text = "HISTORY: Cough.\nFINDINGS: Clear lungs.\nIMPRESSION: Normal."
    path = write_sr(tmp_path / "sr", "1", [item("TEXT", code("1", "99X", "Report"), text)])
    assert read_structured_report(path).text == text
    (tmp_path / "bad").write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="bad is a damaged or truncated structured report"):
        read_structured_report(tmp_path / "bad")


def test_a_deeply_nested_structured_report_is_read_safely(tmp_path: Path) -> None:
    nested = item("TEXT", code("121071", "DCM", "Finding"), "Deep.")
    for _ in range(40):
        nested = item("CONTAINER", code("121070", "DCM", "Findings"), [nested])
    assert read_structured_report(write_sr(tmp_path / "sr", "1", [nested])).is_empty


@pytest.mark.parametrize("key", ["study_id", "accession_number"])
def test_reports_come_from_a_table_by_study_or_accession_number(
    folder: Path, tmp_path: Path, key: str
) -> None:
    table = tmp_path / "reports.csv"
    value = {"study_id": f"{ROOT}.2", "accession_number": "A-2"}[key]
    lines = [f"{key},text", f"{value},FINDINGS: Clear. IMPRESSION: Normal.", "9.9,Other."]
    table.write_text("\n".join([*lines, f"{value},IMPRESSION: Addendum."]))
    records = {r.study_id: r for r in DicomFolder(folder, reports_path=table).records()}
    study = records[f"{ROOT}.2"]
    assert isinstance(study, StudyRecord)
    assert (study.findings, study.impression) == ("Clear.", "Normal.\nAddendum.")
    other = records[f"{ROOT}.1"]
    assert isinstance(other, StudyRecord) and other.findings.startswith("The heart")
    assert "9.9" not in records


def test_what_is_wrong_is_named(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "reports.csv"
    with pytest.raises(NotFoundError, match=r"reports\.csv does not exist"):
        DicomFolder(folder, reports_path=table)
    table.write_text("id,text\na,b\n")
    with pytest.raises(UserError, match="needs a column 'study_id' or 'accession_number'"):
        list(DicomFolder(folder, reports_path=table).records())
    columns = {"study_id": "id"}
    with pytest.raises(NotFoundError, match="belongs to any of the 3 studies"):
        list(DicomFolder(folder, reports_path=table, columns=columns).records())
    table.write_text("study_id,text\n,b\n")
    with pytest.raises(UserError, match="line 2: study_id is empty"):
        list(DicomFolder(folder, reports_path=table).records())
    with pytest.raises(NotFoundError, match="nowhere is not a folder"):
        DicomFolder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="holds no DICOM file"):
        list(DicomFolder(tmp_path / "empty").records())
    with pytest.raises(UserError, match="needs --split-file"):
        DicomFolder(folder, choice=SplitChoice(keep=frozenset({"train"})))


def test_an_index_is_built_and_finds_its_images(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "reports.csv"
    table.write_text("accession_number,findings\nA-2,Clear lungs.\n")
    source = DicomFolder(folder, reports_path=table)
    assert build_and_search(source, tmp_path) == [f"{ROOT}.1", f"{ROOT}.2"]


def test_a_study_filed_under_two_patients_is_skipped_with_both_ids(tmp_path: Path) -> None:
    image(tmp_path / "a", 1, "1", "1", PatientID="P1")
    image(tmp_path / "b", 2, "1", "2", PatientID="P2")
    image(tmp_path / "c", 3, "2", "3", PatientID="P1")
    image(tmp_path / "d", 4, "2", "4", PatientID="")
    write_sr(tmp_path / "sr1", "1", full_report())
    write_sr(tmp_path / "sr2", "2", full_report())
    skipped, read = DicomFolder(tmp_path).records()
    assert isinstance(skipped, SkippedStudy) and isinstance(read, StudyRecord)
    assert (skipped.reason, skipped.detail) == (TWO_PATIENTS, "patients P1, P2")
    assert read.patient_id == "P1"


def test_other_modalities_and_body_parts_are_taken_on_demand(tmp_path: Path) -> None:
    image(tmp_path / "a", 1, "1", "1", Modality="CT", PatientID="P1")
    image(tmp_path / "b", 2, "1", "2", BodyPartExamined="ABDOMEN", PatientID="P1")
    write_sr(tmp_path / "sr1", "1", full_report())
    (none,) = DicomFolder(tmp_path).records()
    assert isinstance(none, SkippedStudy)
    (read,) = DicomFolder(tmp_path, accept_as_chest=True).records()
    assert isinstance(read, StudyRecord) and len(read.images) == 2
