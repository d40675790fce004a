"""Patient and study of a DICOM header, as far as its values are valid DICOM (PS3.5, section 6.2).

study = StudyHeader.of(read_study_attributes(data, "the image", Limits()))
study.values["PatientName"], study.left_out           # "Doe^Jane", ("PatientSex",)

Devices write dates such as 1950 or 00000000 and sexes such as UNKNOWN. Copying these would make
another file that readers refuse, so they are left out and named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from api.export.text import printable
from db.errors import UserError
from indexer.images.dicom import StudyAttributes

_UID = re.compile(r"[0-9.]{1,64}")
_SEX = re.compile("[MFO]")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?")
_SHORT = re.compile(r"[^\\]{1,16}")
_LONG = re.compile(r"[^\\]{1,64}")
_NAME = re.compile(r"[^\\=]{0,64}(=[^\\=]{0,64}){0,2}")
_PATTERNS = {
    "PatientID": _LONG,
    "PatientName": _NAME,
    "PatientBirthDate": None,
    "PatientSex": _SEX,
    "AccessionNumber": _SHORT,
    "StudyID": _SHORT,
    "StudyDate": None,
    "StudyTime": _TIME,
    "ReferringPhysicianName": _NAME,
}
"""Attribute to the form of its values; None for a date."""


@dataclass(frozen=True, kw_only=True)
class StudyHeader:
    """Whose image it is, and of which study."""

    values: Mapping[str, str]
    """Keyword to value; empty and invalid ones are absent."""
    left_out: tuple[str, ...] = ()
    """Keywords of the attributes whose values are not valid."""

    @classmethod
    def of(cls, attributes: StudyAttributes) -> Self:
        """Check what a file's header states. Raises UserError if it states no study."""
        study = attributes["StudyInstanceUID"]
        if not study or not _UID.fullmatch(study):
            raise UserError(
                "the DICOM file has no valid StudyInstanceUID: send a file that has one"
            )
        values, left_out = {"StudyInstanceUID": study}, []
        for keyword, pattern in _PATTERNS.items():
            text = attributes[keyword]
            if text is None or (text and not _is_valid(text, pattern)):
                left_out.append(keyword)
            elif text:
                values[keyword] = text
        return cls(values=values, left_out=tuple(left_out))

    def identification(self) -> dict[str, Any]:
        """Whose image it is, as `highdicom` takes it in every object of the study but its dates."""
        return {
            "patient_id": self.values.get("PatientID", ""),
            "patient_name": self.values.get("PatientName"),
            "patient_birth_date": self.values.get("PatientBirthDate"),
            "patient_sex": self.values.get("PatientSex"),
            "accession_number": self.values.get("AccessionNumber"),
            "study_id": self.values.get("StudyID"),
            "referring_physician_name": self.values.get("ReferringPhysicianName"),
        }

    def check_patient(self) -> None:
        """Raises UserError if the patient's id was left out: an archive would take the report for
        another patient's."""
        if "PatientID" in self.left_out:
            raise UserError(
                "the PatientID in the image's header is not valid DICOM, so the report is not "
                "sent: correct the image first"
            )


def _is_valid(text: str, pattern: re.Pattern[str] | None) -> bool:
    if pattern is not None:
        return bool(pattern.fullmatch(text)) and printable(text) == text and "\n" not in text
    try:
        return bool(re.fullmatch(r"[0-9]{8}", text)) and bool(datetime.strptime(text, "%Y%m%d"))
    except ValueError:
        return False
