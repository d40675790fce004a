"""What agents may send to each tool; the JSON Schemas of the tools are made from these.

Images come as base64 alone: nothing here names a file or an address.
"""

from dataclasses import replace
from typing import Annotated

import msgspec

from api.schemas.fields import (
    AcceptAsChestField,
    CaseField,
    FindPriorField,
    HitCountField,
    Id,
    IndicationField,
    PatientField,
    PriorDateField,
    PriorReportField,
    QuestionField,
    SensitivityField,
    StudyDateField,
    TextField,
)
from api.schemas.prior import requested_prior
from db.errors import UserError
from generator.request import GenerationRequest
from retriever.options import SearchOptions

_Images = Annotated[
    list[str],
    msgspec.Meta(
        description="The views of one study, each a file in base64: DICOM, PNG, JPEG, TIFF, BMP or "
        "WebP.",
    ),
]


class CaseArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A prior case to read."""

    case: Annotated[str, msgspec.Meta(max_length=600, description="As a hit or citation names it.")]
    images: Annotated[bool, msgspec.Meta(description="Whether to return its images as PNG.")] = (
        False
    )


class StudyArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How to search; what all tools with images have in common."""

    k: HitCountField = 10
    exclude_patient: Annotated[
        list[Id], msgspec.Meta(description="Patients none of whose cases may be found.")
    ] = msgspec.field(default_factory=list)
    exclude_study: Annotated[
        list[Id], msgspec.Meta(description="Studies that may not be found.")
    ] = msgspec.field(default_factory=list)
    accept_as_chest: AcceptAsChestField = False

    def options(self) -> SearchOptions:
        """Raises UserError for a value out of range."""
        return SearchOptions(
            k=self.k,
            exclude_patient_ids=tuple(self.exclude_patient),
            exclude_study_ids=tuple(self.exclude_study),
            accept_as_chest=self.accept_as_chest,
        )


class SearchArguments(StudyArguments, kw_only=True, forbid_unknown_fields=True):
    """Images, a text or both, or an indexed case, to search with."""

    images: _Images = msgspec.field(default_factory=list)
    text: TextField | None = None
    case: CaseField | None = None

    def check(self) -> None:
        """Raises UserError for an empty search, or for a case with images or text."""
        if self.case is not None and (self.images or self.text is not None):
            raise UserError("a search by case takes neither images nor text: leave them out")
        if not self.images and self.text is None and self.case is None:
            raise UserError("there is nothing to search with: send images, a text or a case")


class WriteArguments(StudyArguments, kw_only=True, forbid_unknown_fields=True):
    """The images of one study to write about."""

    images: _Images
    indication: IndicationField = ""
    sensitivity: SensitivityField = "balanced"

    def request(self) -> GenerationRequest:
        """Raises UserError for a value out of range."""
        return GenerationRequest(
            task="report",
            options=self.options(),
            indication=self.indication,
            sensitivity=self.sensitivity,
        )


class ReportArguments(WriteArguments, kw_only=True, forbid_unknown_fields=True):
    """The images of one study to report on, and the patient's own prior study."""

    prior_images: Annotated[
        list[str],
        msgspec.Meta(description="Of the patient's own prior study, as `images`; not stored."),
    ] = msgspec.field(default_factory=list)
    prior_date: PriorDateField = None
    prior_report: PriorReportField = ""
    study_date: StudyDateField = None
    find_prior: FindPriorField = False
    patient_id: PatientField = None

    def request(self) -> GenerationRequest:
        """Raises UserError also for a prior study whose parts do not fit together."""
        return replace(super().request(), prior=requested_prior(self))


class AskArguments(WriteArguments, kw_only=True, forbid_unknown_fields=True):
    """The images of one study, and a question about them."""

    question: QuestionField

    def request(self) -> GenerationRequest:
        """Raises UserError also for an empty question."""
        return GenerationRequest(
            task="ask",
            options=self.options(),
            indication=self.indication,
            question=self.question,
            sensitivity=self.sensitivity,
        )
