"""Export a generation as a FHIR DiagnosticReport, R5 or R4B.

The status is ``preliminary``: no radiologist has read it. The subject is the patient that the
caller names, or one without a reference, because the service does not know the patient. The author
is a contained Device, named by a contained Provenance, because a performer may not be a device. The
research-use line and an out-of-distribution warning come first in narrative, conclusion and, in R5,
notes. Source: hl7.org/fhir/R5/diagnosticreport.html.
"""

import base64
import re
from html import escape
from typing import Any, Literal

from api.export.text import (
    check_remarks,
    comparison_lines,
    observation_lines,
    opening_lines,
    other_notes,
    printable,
    request_lines,
    software,
    title,
    with_marks,
)
from db.app.generation import Generation
from db.errors import UserError

Release = Literal["R5", "R4B"]

_PATIENT = re.compile(
    r"(https?://[!-~]{1,400}/)?Patient/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64})?"
    r"|urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
"""References to a patient, relative or absolute; see hl7.org/fhir/R5/references.html."""


def subject_of(reference: str) -> str:
    """Return a reference to a patient. Raises UserError for any other text."""
    if not _PATIENT.fullmatch(reference):
        raise UserError("the subject is not a reference to a patient: send it as Patient/ID")
    return reference


def diagnostic_report(
    generation: Generation, release: Release, *, pdf: bytes, subject: str | None = None
) -> dict[str, Any]:
    """The resource as JSON values; ``pdf`` becomes its presented form.

    ``subject`` is a reference to the patient (`subject_of`).
    """
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "id": str(generation.id),
        "text": {"status": "generated", "div": _narrative(generation)},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{generation.id}"}],
        "status": "preliminary",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/v2-0074",
                        "code": "RAD",
                        "display": "Radiology",
                    }
                ]
            }
        ],
        "code": {
            "coding": [
                {
                    "system": "http://loinc.org",
                    "code": "18748-4",
                    "display": "Diagnostic imaging study",
                }
            ],
            "text": title(generation),
        },
        "issued": generation.created_at.isoformat(),
        "contained": _author(generation, release),
        "subject": {
            "type": "Patient",
            **(
                {"display": "Patient not known to this software"}
                if subject is None
                else {"reference": subject}
            ),
        },
        "conclusion": " ".join(
            (
                *opening_lines(generation),
                *comparison_lines(generation),
                _conclusion(generation),
            )
        ),
        "presentedForm": [
            {
                "contentType": "application/pdf",
                "data": base64.b64encode(pdf).decode(),
                "title": "Report with the cases it cites",
                "creation": generation.created_at.isoformat(),
            }
        ],
    }
    if release == "R5":
        report["note"] = [
            {"text": note} for note in (*opening_lines(generation), *other_notes(generation))
        ]
    cleaned: dict[str, Any] = _printable(report)
    return cleaned


def _author(generation: Generation, release: Release) -> list[dict[str, Any]]:
    """The software as a device, and the provenance that names it as author of the report."""
    name = software(generation)
    device: dict[str, Any] = {
        "resourceType": "Device",
        "id": "device",
        "manufacturer": "grounded-cxr",
        "modelNumber": name,
    }
    if release == "R5":
        device["name"] = [{"value": name, "type": "registered-name"}]
    else:
        device["deviceName"] = [{"name": name, "type": "model-name"}]
    if generation.origin is not None:
        device["version"] = [{"value": generation.origin.program}]
    author = {
        "resourceType": "Provenance",
        "id": "provenance",
        "target": [{"reference": "#"}],
        "recorded": generation.created_at.isoformat(),
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": (
                                "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
                            ),
                            "code": "author",
                            "display": "Author",
                        }
                    ]
                },
                "who": {"reference": "#device"},
            }
        ],
    }
    return [device, author]


def _printable(value: Any) -> Any:
    """Clean every string, because a narrative is XML."""
    if isinstance(value, dict):
        return {key: _printable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_printable(one) for one in value]
    return printable(value) if isinstance(value, str) else value


def _conclusion(generation: Generation) -> str:
    """The impression, or else the whole text; a question precedes its answer."""
    impression = " ".join(s.text for s in generation.statements if s.section == "impression")
    said = impression or generation.text or "Nothing is stated."
    return f"{generation.question} {said}" if generation.question else said


def _narrative(generation: Generation) -> str:
    """The narrative as XHTML: opening lines, statements with citation numbers, cited cases."""
    opening = "".join(f"<p><b>{escape(line)}</b></p>" for line in opening_lines(generation))
    asked = "".join(f"<p>{escape(line)}</p>" for line in request_lines(generation))
    sections = "".join(
        f"<p><b>{section.capitalize()}</b></p><ul>"
        + "".join(
            f"<li>{escape(' '.join((with_marks(s), *check_remarks(s))))}</li>" for s in statements
        )
        + "</ul>"
        for section in ("findings", "impression")
        if (statements := [s for s in generation.statements if s.section == section])
    )
    cases = "".join(
        f"<li>[{number}] {escape(source)} {escape(study_id)}</li>"
        for number, source, study_id in sorted(
            {(c.number, c.source, c.study_id) for s in generation.statements for c in s.citations}
        )
    )
    observations = "".join(f"<li>{escape(line)}</li>" for line in observation_lines(generation))
    if observations:
        observations = f"<p><b>Observations</b></p><ul>{observations}</ul>"
    cited = f"<p><b>Cited cases</b></p><ul>{cases}</ul>" if cases else ""
    return (
        f'<div xmlns="http://www.w3.org/1999/xhtml">{opening}{asked}{sections}'
        f"{observations}{cited}</div>"
    )
