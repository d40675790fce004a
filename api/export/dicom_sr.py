"""Export a generation as a DICOM Basic Text SR (PS3.3 A.35.1, template TID 2000).

Without an image the report gets a study of its own and a patient without a name. With the DICOM
image that it was made from, it joins that image's study; patient and study are copied from the
file sent with the request and stored nowhere else. A value that is not valid DICOM is left out, and
a comment says which attributes were.
"""

import io
from collections.abc import Sequence

import pydicom
from highdicom.base import SOPClass
from highdicom.sr.coding import CodedConcept
from highdicom.sr.value_types import ContainerContentItem, ContentSequence, TextContentItem
from pydicom.dataset import Dataset
from pydicom.uid import UID, BasicTextSRStorage, generate_uid

from api.export.study_header import StudyHeader
from api.export.text import (
    check_remarks,
    observation_lines,
    opening_lines,
    printable,
    request_lines,
    software,
    with_marks,
)
from db.app.generation import NOTICE, Generation, Statement
from indexer.images.radiograph import quiet_decoders

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

    def __init__(self, generation: Generation, study: StudyHeader | None) -> None:
        made = generation.created_at
        of = {} if study is None else study.values
        super().__init__(
            study_instance_uid=of.get("StudyInstanceUID") or export_uid(generation, "study"),
            series_instance_uid=export_uid(generation, "series"),
            series_number=9000,
            sop_instance_uid=export_uid(generation, "instance"),
            sop_class_uid=BasicTextSRStorage,
            instance_number=1,
            modality="SR",
            manufacturer="grounded-cxr",
            study_date=made.date() if study is None else of.get("StudyDate"),
            study_time=(
                made.time().replace(microsecond=0) if study is None else of.get("StudyTime")
            ),
            series_description="Research use only",
            manufacturer_model_name=software(generation),
            software_versions=generation.origin.program if generation.origin else "unknown",
            content_date=made.date(),
            content_time=made.time(),
            specific_character_set="ISO_IR 192",
            **(study or StudyHeader(values={})).identification(),
        )
        self.ReferencedPerformedProcedureStepSequence = pydicom.Sequence()
        self.PerformedProcedureCodeSequence = pydicom.Sequence()
        self.CompletionFlag = "PARTIAL"
        self.CompletionFlagDescription = NOTICE
        self.VerificationFlag = "UNVERIFIED"
        self.PreliminaryFlag = "PRELIMINARY"
        self.update(_content(generation, () if study is None else study.left_out))


def to_dicom_sr(generation: Generation, study: StudyHeader | None = None) -> bytes:
    """The SR file."""
    out = io.BytesIO()
    with quiet_decoders():
        BasicTextSR(generation, study).save_as(out, enforce_file_format=True)
    return out.getvalue()


def _content(generation: Generation, left_out: Sequence[str]) -> Dataset:
    root = ContainerContentItem(name=_TITLE, template_id="2000")
    items = ContentSequence(is_root=False, is_sr=True)
    for line in opening_lines(generation):
        items.append(_comment(line))
    if left_out:
        items.append(_comment(f"Left out, not valid in the image's header: {', '.join(left_out)}."))
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
    for comment in (*request_lines(generation), *observation_lines(generation)):
        items.append(_comment(comment))
    root.ContentSequence = items
    return root


def _comment(text: str) -> TextContentItem:
    return TextContentItem(name=_COMMENT, value=printable(text), relationship_type="CONTAINS")


def _sentence(statement: Statement) -> str:
    """Leave citation numbers out: a structured report does not hold the cited cases."""
    return printable(" ".join((with_marks(statement, numbers=False), *check_remarks(statement))))


def export_uid(generation: Generation, part: str) -> UID:
    """The same UID for every export of a generation, so that a repeat is no second report."""
    return generate_uid(entropy_srcs=[str(generation.id), part])
