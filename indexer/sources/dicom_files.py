"""What of a DICOM file's header sorts it: its study, patient, order and kind."""

import re
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from indexer.images.dicom import is_dicom, open_dataset
from indexer.images.dicom_header import is_chest_radiograph, view_position
from indexer.images.radiograph import Limits, quiet_decoders
from indexer.sources.structured_report import REPORT_STORAGE

_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "StudyDate",
    "AccessionNumber",
    "SeriesNumber",
    "InstanceNumber",
    "Modality",
    "BodyPartExamined",
    "Rows",
    "ViewPosition",
    "ContentDate",
    "ContentTime",
    "VerificationFlag",
]
_UID = re.compile(r"[0-9][0-9.]{0,63}")


def describe_file(path: Path, accept_as_chest: bool) -> dict[str, Any] | None:
    """Extract what is needed from a file's header; None for an irrelevant file."""
    header = _read_header(path)
    if header is None:
        return None
    study = str(header.get("StudyInstanceUID") or "").strip()
    if str(header.get("SOPClassUID") or "") in REPORT_STORAGE:
        kind = "sr"
        order = [
            str(header.get("VerificationFlag") or "") == "VERIFIED",
            *(str(header.get(keyword) or "") for keyword in ("ContentDate", "ContentTime")),
            str(path),
        ]
    elif is_chest_radiograph(header) or (accept_as_chest and "Rows" in header):
        kind = "image"
        order = [_number(header, "SeriesNumber"), _number(header, "InstanceNumber")]
    else:
        return None
    if not _UID.fullmatch(study):
        kind, study = "stray", path.name
    return {
        "kind": kind,
        "order": order,
        "path": str(path),
        "study": study,
        "patient": str(header.get("PatientID") or "").strip(),
        "date": str(header.get("StudyDate") or "").strip(),
        "accession": str(header.get("AccessionNumber") or "").strip(),
        "instance": str(header.get("SOPInstanceUID") or path),
        "view": view_position(header),
    }


def _read_header(path: Path) -> Dataset | None:
    """Read the header without pixels; None if it is not a DICOM file or cannot be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(132)
        if not is_dicom(head):
            return None
        with quiet_decoders():
            if head.endswith(b"DICM"):
                meta = read_file_meta_info(path)
                if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                    return open_dataset(path.read_bytes(), str(path), Limits())
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=_TAGS)
        return header if header.get("SOPClassUID") else None
    except Exception:  # pydicom raises almost anything on damage
        return None


def _number(header: Dataset, keyword: str) -> int:
    try:
        return int(header.get(keyword) or 0)
    except (TypeError, ValueError):
        return 0
