"""What a caller says of a prior study, alike in forms and in the arguments of agents."""

import datetime
from collections.abc import Sequence
from typing import Protocol

from generator.prior.request import PriorRequest


class PriorFields(Protocol):
    """Fields that `ReportForm` and `ReportArguments` both have."""

    @property
    def prior_images(self) -> Sequence[object]: ...
    @property
    def prior_date(self) -> datetime.date | None: ...
    @property
    def prior_report(self) -> str: ...
    @property
    def study_date(self) -> datetime.date | None: ...
    @property
    def find_prior(self) -> bool: ...
    @property
    def patient_id(self) -> str | None: ...


def requested_prior(given: PriorFields) -> PriorRequest | None:
    """None where nothing of a prior study was given. Raises UserError for parts that do not fit
    together."""
    return PriorRequest.of(
        has_images=bool(given.prior_images),
        date=given.prior_date,
        report=given.prior_report,
        study_date=given.study_date,
        patient_id=given.patient_id,
        find=given.find_prior,
    )
