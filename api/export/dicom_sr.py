"""Export a generation as a DICOM Basic Text SR (PS3.3 A.35.1, template TID 2000).

Without an image the report gets a study of its own and a patient without a name. With the DICOM
image that it was made from, it joins that image's study; patient and study are copied from the
file sent with the request and stored nowhere else.
"""

import io

import pydicom
from highdicom.base import SOPClass
from highdicom.sr.coding import CodedConcept
from highdicom.sr.value_types import ContainerContentItem, ContentSequence, TextContentItem
from pydicom.dataset import Dataset
from pydicom.uid import UID, BasicTextSRStorage, generate_uid

from api.export.text import check_remarks, observation_lines, request_lines, with_marks
from db.app.generation import NOTICE, Generation, Statement
from db.errors import UserError

_SECTIONS = {
    "findings": (
        CodedConcept("121070", "DCM", "Findings"),
        CodedConcept("121071", "DCM", "Finding"),
    ),
    "impression": (
        CodedConcept("121072", "DCM", "Impressions"),
        CodedConcept("121073", "DCM", "Impression"),
    ),
}
_TITLE = CodedConcept("18748-4", "LN", "Diagnostic imaging report")
_COMMENT = CodedConcept("121106", "DCM", "Comment")
_LANGUAGE = CodedConcept("121049", "DCM", "Language of Content Item and Descendants")
_ENGLISH = CodedConcept("en", "RFC5646", "English")


class BasicTextSR(SOPClass):
    """One report as a tree of text."""

    def __init__(self, generation: Generation, image: Dataset | None) -> None:
        made = generation.created_at
        known = image if image is not None else Dataset()
        super().__init__(
            study_instance_uid=str(known.get("StudyInstanceUID") or _uid(generation, "study")),
            series_instance_uid=_uid(generation, "series"),
            series_number=9000,
            sop_instance_uid=_uid(generation, "instance"),
            sop_class_uid=BasicTextSRStorage,
            instance_number=1,
            modality="SR",
            manufacturer="grounded-cxr",
            patient_id=str(known.get("PatientID") or ""),
            patient_name=known.get("PatientName"),
            patient_birth_date=str(known.get("PatientBirthDate") or "") or None,
            patient_sex=str(known.get("PatientSex") or "") or None,
            accession_number=str(known.get("AccessionNumber") or "") or None,
            study_id=str(known.get("StudyID") or "") or None,
            study_date=known.get("StudyDate") or made.date(),
            study_time=known.get("StudyTime") or made.time().replace(microsecond=0),
            referring_physician_name=known.get("ReferringPhysicianName"),
            series_description="Research use only",
            manufacturer_model_name=generation.generator,
            software_versions=generation.origin.program if generation.origin else "unknown",
            content_date=made.date(),
            content_time=made.time(),
            specific_character_set="ISO_IR 192",
        )
        self.ReferencedPerformedProcedureStepSequence = pydicom.Sequence()
        self.PerformedProcedureCodeSequence = pydicom.Sequence()
        self.CompletionFlag = "PARTIAL"
        self.CompletionFlagDescription = NOTICE
        self.VerificationFlag = "UNVERIFIED"
        self.PreliminaryFlag = "PRELIMINARY"
        self.update(_content(generation))


def to_dicom_sr(generation: Generation, image: bytes | None = None) -> bytes:
    """The SR file. Raises UserError if the image is not a DICOM file with a study."""
    header = None if image is None else _header(image)
    out = io.BytesIO()
    BasicTextSR(generation, header).save_as(out, enforce_file_format=True)
    return out.getvalue()


def _content(generation: Generation) -> Dataset:
    root = ContainerContentItem(name=_TITLE, template_id="2000")
    items = ContentSequence(is_root=False, is_sr=True)
    for section, (heading, sentence) in _SECTIONS.items():
        statements = [s for s in generation.statements if s.section == section]
        if not statements:
            continue
        container = ContainerContentItem(name=heading, relationship_type="CONTAINS")
        container.ContentSequence = ContentSequence(
            [
                TextContentItem(
                    name=sentence,
                    value=_sentence(s),
                    relationship_type="CONTAINS",
                )
                for s in statements
            ],
            is_sr=True,
        )
        items.append(container)
    for comment in (*request_lines(generation), *observation_lines(generation), NOTICE):
        items.append(TextContentItem(name=_COMMENT, value=comment, relationship_type="CONTAINS"))
    root.ContentSequence = items
    return root


def _sentence(statement: Statement) -> str:
    """Leave citation numbers out: a structured report does not hold the cited cases."""
    return " ".join((with_marks(statement, numbers=False), *check_remarks(statement)))


def _header(image: bytes) -> Dataset:
    try:
        header = pydicom.dcmread(io.BytesIO(image), stop_before_pixels=True)
    except Exception as error:
        raise UserError(
            "the image is not a DICOM file, so it names no study: send the image's DICOM file"
        ) from error
    if not header.get("StudyInstanceUID"):
        raise UserError("the DICOM file has no StudyInstanceUID: send a file that has one")
    return header


def _uid(generation: Generation, part: str) -> UID:
    """The same UID for every export of a generation, so that a repeat is no second report."""
    return generate_uid(entropy_srcs=[str(generation.id), part])
