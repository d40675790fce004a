"""What a caller says of the patient's own prior study, beside its images."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from db.errors import UserError

MAX_REPORT = 20_000
"""Characters of the prior study's report."""


@dataclass(frozen=True, kw_only=True)
class PriorRequest:
    """A prior study to compare with: its images are given with it, or found in the index.

    Raises UserError for a prior study that is later than the study, and for a search in the index
    without a patient or beside a report or a date.
    """

    date: datetime.date | None = None
    """Of the prior study."""
    report: str = ""
    """Of the prior study, as it was written."""
    study_date: datetime.date | None = None
    """Of the study itself."""
    patient_id: str | None = None
    """Whose earlier studies the index is searched for; None where the images are given."""
    case: str | None = None
    """``source:study_id`` of the prior study where it was found in the index."""

    def __post_init__(self) -> None:
        if self.date is not None and self.study_date is not None and self.date > self.study_date:
            raise UserError(
                f"the prior study is of {written(self.date)}, after the study of "
                f"{written(self.study_date)}: swap the two, or correct a date"
            )
        if len(self.report) > MAX_REPORT:
            raise UserError(
                f"the report of the prior study may have {MAX_REPORT:,} characters, not "
                f"{len(self.report):,}"
            )

    @classmethod
    def of(
        cls,
        *,
        has_images: bool,
        date: datetime.date | None = None,
        report: str = "",
        study_date: datetime.date | None = None,
        patient_id: str | None = None,
        find: bool = False,
    ) -> Self | None:
        """What a caller gave, checked; None where nothing of a prior study was given.

        Raises UserError for parts that do not fit together.
        """
        if find:
            if patient_id is None:
                raise UserError("an earlier study is found by its patient: name the patient's id")
            if has_images or report or date is not None:
                raise UserError(
                    "the prior study is either given or found in the index: leave out its images, "
                    "report and date, or do not ask for it to be found"
                )
            return cls(study_date=study_date, patient_id=patient_id)
        if patient_id is not None:
            raise UserError(
                "a patient's id serves to find an earlier study in the index: ask for it to be "
                "found, or leave out the id"
            )
        if has_images:
            return cls(date=date, report=report, study_date=study_date)
        if report or date is not None:
            raise UserError(
                "a prior study has a report or a date and no image: send its images as well"
            )
        return None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "date": None if self.date is None else self.date.isoformat(),
            "report": self.report,
            "study_date": None if self.study_date is None else self.study_date.isoformat(),
            "patient_id": self.patient_id,
            "case": self.case,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        dates = {
            name: None
            if stored.get(name) is None
            else datetime.date.fromisoformat(str(stored[name]))
            for name in ("date", "study_date")
        }
        return cls(**{**stored, **dates})


def written(date: datetime.date) -> str:
    """A date as a sentence has it: ``3 May 2026``."""
    return f"{date.day} {date:%B %Y}"
