"""What a PACS is searched for, and what it lists."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import msgspec

from api.pacs.documents import Description, text, texts, uid
from db.errors import UserError

MODALITIES = ("DX", "CR")
"""Searched for unless others are named: digital and computed radiography."""

_DATE = re.compile(r"(\d{8})?(-?)(\d{8})?")
_MODALITY = re.compile(r"[A-Z]{2,16}")


@dataclass(frozen=True, kw_only=True)
class StudyQuery:
    """What to search for; raises UserError for a date, modality or patient that cannot be."""

    date: str = ""
    """A day ``20260131`` or days ``20260101-20260131``, one end of which may be left out."""
    modalities: tuple[str, ...] = MODALITIES
    patient_id: str = ""

    def __post_init__(self) -> None:
        if self.date:
            _check_date(self.date)
        if not self.modalities or not all(map(_MODALITY.fullmatch, self.modalities)):
            raise UserError(
                f"'{','.join(self.modalities)}' names no modality: give those of DICOM, as DX,CR"
            )
        if len(self.patient_id) > 64 or not self.patient_id.isprintable():
            raise UserError("a patient id has at most 64 printable characters")
        if any(char in self.patient_id for char in "*?\\"):
            raise UserError("a patient id is searched for as it is: leave out *, ? and \\")

    def parameters(self, modality: str, limit: int) -> dict[str, Any]:
        """The query of one request: QIDO-RS has no list of modalities."""
        asked = {"StudyDate": self.date, "PatientID": self.patient_id}
        return {
            **{name: value for name, value in asked.items() if value},
            "ModalitiesInStudy": modality,
            "includefield": ["00080061", "00081030", "00201208"],
            "limit": limit,
        }


class PacsStudy(msgspec.Struct, kw_only=True, frozen=True):
    """A study that the PACS holds. No name or birth date is read."""

    uid: str
    """StudyInstanceUID."""
    date: str
    """YYYYMMDD, or empty."""
    time: str
    modalities: list[str]
    description: str
    patient_id: str
    accession_number: str
    instances: int | None

    @classmethod
    def of(cls, found: Description) -> Self:
        """Raises ValueError for a description without an identifier."""
        count = text(found, "00201208")
        return cls(
            uid=uid(found, "0020000D"),
            date=text(found, "00080020"),
            time=text(found, "00080030"),
            modalities=texts(found, "00080061"),
            description=text(found, "00081030"),
            patient_id=text(found, "00100020"),
            accession_number=text(found, "00080050"),
            instances=int(count) if count.isdecimal() else None,
        )


class PacsStudies(msgspec.Struct, kw_only=True, frozen=True):
    """The result of a search, newest first."""

    target: str
    """The address of the PACS."""
    studies: list[PacsStudy]
    complete: bool
    """False where the PACS holds more than is listed."""


def _check_date(date: str) -> None:
    match = _DATE.fullmatch(date)
    first, dash, last = match.groups() if match else (None, "", None)
    try:
        days = [datetime.strptime(day, "%Y%m%d") for day in (first, last) if day]
    except ValueError:
        days = []
    if not days or (len(days) == 2) > bool(dash) or days != sorted(days):
        raise UserError(
            f"'{date[:40]}' is not a date: give a day as 20260131, or days as 20260101-20260131"
        )
