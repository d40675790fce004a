"""Forms of the routes that take the images of a study."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar.datastructures import UploadFile
from litestar.exceptions import ClientException

from api.schemas.fields import (
    AcceptAsChestField,
    CaseField,
    FindPriorField,
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
from generator.prompts import Task
from generator.request import GenerationRequest
from indexer.images.radiograph import MOST_WINDOWS
from retriever.options import Parameter, SearchOptions, parameters


def _search_field(one: Parameter) -> tuple[str, Any, Any]:
    """Describe one search option as a form field for ``msgspec.defstruct``."""
    default = _SEARCH_DEFAULTS.get(one.option, one.default)
    most = _MOST_HITS if one.option == "k" else one.most
    description = f"{one.help[:1].upper()}{one.help[1:]}."
    kind: Any = list[Id] if one.many else one.type
    meta = msgspec.Meta(ge=one.least, le=most, description=description)
    annotated: Any = Annotated[kind, meta]
    if one.many:
        return one.name, annotated, msgspec.field(default_factory=list)
    return one.name, annotated | None if default is None else annotated, default


_SEARCH_DEFAULTS = {"k": 10}
_MOST_HITS = 100
_SEARCH_FIELDS = {one.option: _search_field(one) for one in parameters()}
_TEXT_WEIGHT = _SEARCH_FIELDS.pop("text_weight")

if TYPE_CHECKING:
    _SearchFields = msgspec.Struct
else:
    _SearchFields = msgspec.defstruct("_SearchFields", _SEARCH_FIELDS.values(), kw_only=True)


class StudyForm(_SearchFields, kw_only=True):
    """The images of one study, and how to search with them."""

    images: list[UploadFile]
    """One file per view: PNG, JPEG, TIFF, BMP, WebP or DICOM."""

    def options(self) -> SearchOptions:
        """Raises UserError for a value out of range."""
        return SearchOptions.of(msgspec.structs.asdict(self))


class IndicationForm(StudyForm, kw_only=True):
    """The images of one study to write about, and how to search with them."""

    indication: IndicationField = ""
    sensitivity: SensitivityField = "balanced"

    def request(self, task: Task) -> GenerationRequest:
        """Raises UserError as `options` does."""
        return GenerationRequest(
            task=task,
            options=self.options(),
            indication=self.indication,
            sensitivity=self.sensitivity,
        )


class ReportForm(IndicationForm, kw_only=True):
    """The images of one study to report on, and the patient's own prior study."""

    prior_images: list[UploadFile] = msgspec.field(default_factory=list)
    """Of the patient's own prior study, one file per view; they are not stored."""
    prior_date: PriorDateField = None
    prior_report: PriorReportField = ""
    study_date: StudyDateField = None
    find_prior: FindPriorField = False
    patient_id: PatientField = None

    def request(self, task: Task) -> GenerationRequest:
        """Raises UserError also for a prior study whose parts do not fit together."""
        return replace(super().request(task), prior=requested_prior(self))


class QuestionForm(IndicationForm, kw_only=True):
    """The images of one study, and a question about them."""

    question: QuestionField

    def request(self, task: Task) -> GenerationRequest:
        """Raises UserError also for an empty question."""
        return replace(super().request("report"), task=task, question=self.question)


class SearchForm(StudyForm, kw_only=True):
    """Images, text or both, or an indexed case, and how to search with them."""

    images: list[UploadFile] = msgspec.field(default_factory=list)
    """One file per view of one study; none to search by text alone."""
    text: TextField | None = None
    case: CaseField | None = None
    text_weight: _TEXT_WEIGHT[1] = _TEXT_WEIGHT[2]  # type: ignore[valid-type]

    def options(self) -> SearchOptions:
        """Raises ClientException for an empty search, or for a case with images or text."""
        if self.case is not None and (self.images or self.text is not None):
            raise ClientException("a search by case takes neither images nor text: leave them out")
        if not self.images and self.text is None and self.case is None:
            raise ClientException(
                "there is nothing to search with: choose an image file (multipart form field "
                "'images') or enter text (field 'text')"
            )
        return super().options()


class ImageForm(msgspec.Struct, kw_only=True):
    """One image."""

    image: UploadFile
    accept_as_chest: AcceptAsChestField = False
    window: (
        Annotated[
            int,
            msgspec.Meta(
                ge=1,
                le=MOST_WINDOWS,
                description="Show a DICOM file with this one of its own windows; the header "
                "`Image-Display` lists them.",
            ),
        ]
        | None
    ) = None
