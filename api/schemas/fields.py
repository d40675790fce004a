"""Fields that requests of several kinds have, each described once."""

from typing import Annotated

import msgspec

from generator.assessment.calibration import Sensitivity
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

TextField = Annotated[str, msgspec.Meta(description="What a report would say.")]

CaseField = Annotated[
    str, msgspec.Meta(max_length=600, description="An indexed case, as `source:study_id`.")
]
