"""Structured reports: what is said of the image, and what is said of people, doses and the past."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedSRStorage

from indexer.reports.sections.parse import CORRECTED
from indexer.sources.records import SkippedStudy, StudyRecord
from indexer.sources.structured_report import (
    SEVERAL_REPORTS,
    read_documents,
    read_structured_report,
)
from tests.support.dicoms import code, item, write_sr

FINDING = code("121071", "DCM", "Finding")
PNEUMOTHORAX = code("36118008", "SCT", "Pneumothorax")
EFFUSION = code("60046008", "SCT", "Pleural effusion")


def coded(name: Any, value: Any, *below: Dataset) -> Dataset:
    one = item("CODE", name, value)
    if below:
        one.ContentSequence = Sequence(below)
    return one


def findings(*content: Dataset) -> Dataset:
    return item("CONTAINER", code("121070", "DCM", "Findings"), list(content))


def text(path: Path, *content: Dataset, **attributes: Any) -> str:
    return read_structured_report(write_sr(path / "sr", "1", list(content), **attributes)).text


def context(name: str, value: str) -> Dataset:
    return item("CODE", code("1", "99X", name), code("2", "99X", value))


@pytest.mark.parametrize(
    ("below", "said"),
    [
        ([context("Finding context", "Known absent")], "No pneumothorax."),
        ([context("Finding context", "Definitely not present")], "No pneumothorax."),
        ([context("Finding context", "Probably NOT present")], "Pneumothorax is unlikely."),
        ([context("Finding context", "Probably present")], "Possible pneumothorax."),
        ([context("Finding context", "Known present")], "Pneumothorax."),
        ([context("Presence", "Absent")], "No pneumothorax."),
        ([context("Presence", "No")], "No pneumothorax."),
        ([context("Presence", "Yes"), context("Laterality", "Right")], "Right pneumothorax."),
        ([context("Severity", "Small"), context("Laterality", "Left")], "Small left pneumothorax."),
        ([context("Finding site", "Apex of left lung")], "Pneumothorax in apex of left lung."),
        ([context("Finding context", "Unknown")], ""),
        ([context("Subject relationship context", "Father of subject")], ""),
        ([context("Temporal context", "In the past")], ""),
        ([item("TEXT", code("121106", "DCM", "Comment"), "It reaches the third rib in front.")],
         "Pneumothorax.\nIt reaches the third rib in front."),
    ],
)  # fmt: skip
def test_a_coded_finding_is_said_with_its_context(
    tmp_path: Path, below: list[Dataset], said: str
) -> None:
    found = text(tmp_path, findings(coded(FINDING, PNEUMOTHORAX, *below)))
    assert found == (f"FINDINGS:\n{said}" if said else "")


@pytest.mark.parametrize(
    ("answer", "said"),
    [("No", "No pneumothorax."), ("Absent", "No pneumothorax."), ("Yes", "Pneumothorax."),
     ("Unknown", "")],
)  # fmt: skip
@pytest.mark.parametrize(
    "name", ["Pneumothorax", "Pneumothorax present?", "Presence of pneumothorax"]
)
def test_a_yes_or_no_answers_its_question(
    tmp_path: Path, name: str, answer: str, said: str
) -> None:
    expected = f"FINDINGS:\n{said}" if said else ""
    question = code("3", "99X", name)
    of_code = findings(item("CODE", question, code("4", "99X", answer)))
    of_text = findings(item("TEXT", question, answer))
    assert [text(tmp_path, of_code).casefold(), text(tmp_path, of_text).casefold()] == [
        expected.casefold()
    ] * 2


def test_a_short_value_keeps_its_name(tmp_path: Path) -> None:
    found = text(tmp_path, findings(item("TEXT", code("5", "99X", "Heart"), "Enlarged.")))
    assert found == "FINDINGS:\nHeart: Enlarged."


def test_previous_findings_are_a_comparison(tmp_path: Path) -> None:
    previous = item("TEXT", code("121069", "DCM", "Previous Finding"), "Large right pneumothorax.")
    under = item(
        "CONTAINER", code("121068", "DCM", "Previous Findings"), [coded(FINDING, EFFUSION)]
    )
    past = coded(FINDING, EFFUSION, context("Temporal context", "In the past"))
    now = item("TEXT", code("121073", "DCM", "Impression"), "No pneumothorax.")
    path = write_sr(tmp_path / "sr", "1", [previous, under, findings(past), now])
    report = read_documents([path])
    assert report is not None
    assert (report.findings, report.impression) == ("", "No pneumothorax.")
    assert report.comparison.startswith("Large right pneumothorax.")


def test_people_procedures_and_orders_are_left_out(tmp_path: Path) -> None:
    people = [
        item("TEXT", code("121030", "DCM", "Subject ID"), "MRN 31415926"),
        item("TEXT", code("121009", "DCM", "Person Observer's Organization Name"), "St. Elsewhere"),
        item("TEXT", code("121022", "DCM", "Accession Number"), "ACC777"),
        item("TEXT", code("9", "99X", "Referring physician name"), "Ann Roe"),
    ]
    observer = item("TEXT", code("8", "99X", "Anything"), "Zebedee Quixotic")
    observer.RelationshipType = "HAS OBS CONTEXT"
    said = item("TEXT", FINDING, "Clear lungs.")
    assert text(tmp_path, *people, observer, said) == "FINDINGS:\nClear lungs."


@pytest.mark.parametrize(
    ("value", "title"),
    [("113701", "X-Ray Radiation Dose Report"), ("113000", "Of Interest"),
     ("121120", "Cath Lab Procedure Log"), ("99", "CT Dose Information Report")],
)  # fmt: skip
def test_a_document_that_is_no_report_says_nothing(tmp_path: Path, value: str, title: str) -> None:
    comment = item(
        "TEXT", code("121106", "DCM", "Comment"), "Uses scan parameters of the protocol."
    )
    name = code(value, "DCM", title)
    assert text(tmp_path, comment, ConceptNameCodeSequence=name) == ""


def folder_of(path: Path, **documents: dict[str, Any]) -> Path:
    for name, document in documents.items():
        said = document.pop("said")
        content = [item("TEXT", code("121073", "DCM", "Impression"), said)] if said else []
        write_sr(path / name, "1", content, **document)
    return path


def read_folder(path: Path) -> StudyRecord:
    from indexer.sources.dicom_folder import DicomFolder
    from tests.support.dicoms import UID_ROOT, write_dicom
    from tests.support.radiographs import draw_radiograph

    header = {"StudyInstanceUID": f"{UID_ROOT}.1", "PatientID": "P1"}
    write_dicom(path / "image", draw_radiograph(1, size=(96, 80)), **header)
    (record,) = DicomFolder(path).records()
    assert not isinstance(record, SkippedStudy)
    return record


def test_an_empty_document_and_a_dose_report_replace_no_report(tmp_path: Path) -> None:
    record = read_folder(
        folder_of(
            tmp_path,
            report={"said": "Left effusion.", "ContentDate": "20200101"},
            empty={"said": "", "ContentDate": "20210101", "VerificationFlag": "VERIFIED"},
            dose={
                "said": "Total dose.",
                "ContentDate": "20220101",
                "SOPClassUID": EnhancedSRStorage,
                "ConceptNameCodeSequence": code("113701", "DCM", "X-Ray Radiation Dose Report"),
            },
        )
    )
    assert (record.findings, record.impression) == ("", "Left effusion.")


def test_an_addendum_corrects_the_report_that_it_follows(tmp_path: Path) -> None:
    record = read_folder(
        folder_of(
            tmp_path,
            report={"said": "Right pneumothorax.", "ContentDate": "20200101"},
            addendum={
                "said": "On review there is no pneumothorax.",
                "ContentDate": "20200102",
                "ConceptNameCodeSequence": code("55107-7", "LN", "Addendum"),
            },
        )
    )
    assert record.impression == "On review there is no pneumothorax."
    assert CORRECTED in record.notes


def test_of_several_reports_the_latest_counts_and_that_is_noted(tmp_path: Path) -> None:
    record = read_folder(
        folder_of(
            tmp_path,
            early={"said": "Left effusion.", "ContentDate": "20200101"},
            late={"said": "No effusion.", "ContentDate": "20200103"},
        )
    )
    assert record.impression == "No effusion."
    assert SEVERAL_REPORTS in record.notes
