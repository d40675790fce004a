"""A stand-in PACS with one study of each planted patient, for `tests.robustness.personal_data`."""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs

import pydicom

from tests.support.pacs import Asked, a_description, answer, attribute, confirmed, related, scripted


class Planted(Protocol):
    """What the archive knows of a patient."""

    @property
    def record(self) -> str: ...

    @property
    def study(self) -> str:
        """StudyInstanceUID."""
        ...

    def word(self, place: str) -> str: ...

    def file(self, folder: Path, kind: str) -> tuple[str, bytes]: ...


@contextmanager
def archive(patients: Sequence[Planted], folder: Path) -> Iterator[str]:
    """Run a PACS that finds and sends the study of each patient, and takes reports; its address."""
    files = {one.study: one.file(folder, "dcm")[1] for one in patients}
    listed = {study: [_instance(file)] for study, file in files.items()}
    by_record = {one.record: one for one in patients}

    def told(asked: Asked) -> bytes:
        path, _, query = asked.target.partition("?")
        level = path.removeprefix("/dicom-web/").split("/")
        if asked.method == "POST":
            file = asked.body[asked.body.index(b"\r\n\r\n") + 4 :]
            return answer(confirmed(str(pydicom.dcmread(io.BytesIO(file)).SOPInstanceUID)))
        if level == ["studies"]:
            wanted = parse_qs(query).get("PatientID", [""])[0]
            return answer([_described(by_record[wanted])] if wanted in by_record else [])
        if len(level) < 3 or level[1] not in files:
            return answer(status=404)
        if level[2] == "instances":
            return answer(listed[level[1]])
        return related(files[level[1]])

    with scripted(told) as pacs:
        yield pacs.url


def _described(patient: Planted) -> Mapping[str, object]:
    return a_description(
        patient.study,
        **{
            "00100010": attribute("PN", {"Alphabetic": patient.word("n")}),
            "00100020": attribute("LO", patient.record),
            "00081030": attribute("LO", patient.word("d")),
        },
    )


def _instance(file: bytes) -> Mapping[str, object]:
    with warnings.catch_warnings(action="ignore"):  # of a header full of unusual values
        header = pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True)
    return {
        "00080016": attribute("UI", str(header.SOPClassUID)),
        "00080018": attribute("UI", str(header.SOPInstanceUID)),
        "0020000E": attribute("UI", str(header.SeriesInstanceUID)),
    }
