"""Fields that requests of several kinds have, each described once."""

import datetime
from typing import Annotated

import msgspec

from generator.assessment.calibration import Sensitivity
from generator.prior.request import MAX_REPORT
from generator.prompts import MAX_QUESTION

MAX_INDICATION = 1_000
"""Characters."""

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]

HitCountField = Annotated[int, msgspec.Meta(ge=1, le=100, description="Number of hits.")]

AcceptAsChestField = Annotated[
    bool,
    msgspec.Meta(description="Read DICOM also if its header names another modality or body part."),
]

IndicationField = Annotated[
    str,
    msgspec.Meta(max_length=MAX_INDICATION, description="Why the images were taken. It is stored."),
]

SensitivityField = Annotated[
    Sensitivity,
    msgspec.Meta(
        description="How readily a finding is called: `high` finds more, `specific` errs less."
    ),
]

QuestionField = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_QUESTION,
        description="About the images.",
        examples=["Is the heart enlarged?"],
    ),
]

PriorDateField = Annotated[
    datetime.date | None,
    msgspec.Meta(
        description="Of the prior study; statements of change name it, and it is stored.",
        examples=["2026-05-03"],
    ),
]

PriorReportField = Annotated[
    str,
    msgspec.Meta(
        max_length=MAX_REPORT,
        description="Of the prior study: a change that it contradicts is not stated. Only the "
        "sentences that changes quote are stored.",
    ),
]

StudyDateField = Annotated[
    datetime.date | None,
    msgspec.Meta(description="Of the study itself: a later prior study is refused. It is stored."),
]

FindPriorField = Annotated[
    bool,
    msgspec.Meta(
        description="Find the patient's latest earlier study in the index; needs `patient_id`."
    ),
]

PatientField = Annotated[
    Id | None,
    msgspec.Meta(description="Whose earlier study is found in the index. It is not stored."),
]

TextField = Annotated[str, msgspec.Meta(description="What a report would say.")]

CaseField = Annotated[
    str, msgspec.Meta(max_length=600, description="An indexed case, as `source:study_id`.")
]
