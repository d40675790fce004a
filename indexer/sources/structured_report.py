"""Convert DICOM structured reports into report text with headings.

Reads the text items of Basic Text, Enhanced and Comprehensive SR in document order (PS3.3 C.17.3),
under the headings of TID 2000 (CID 7001 and 7002, DCM or LOINC). Coded findings give the meaning of
their code. Names of people, measurements and images are left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from db.errors import UserError
from indexer.images.radiograph import quiet_decoders

SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88."
"""Prefix of the SOP class UIDs of structured reports."""

_HEADINGS = {
    "FINDINGS": ("121070", "121071", "59776-5", "18782-3"),
    "IMPRESSION": ("121072", "121073", "121076", "121077", "19005-8"),
    "INDICATION": ("121060", "121062", "121109", "11329-0", "18785-6", "55115-0"),
    "COMPARISON": ("121066", "121068", "18834-2"),
    "RECOMMENDATION": ("121074", "121075", "18783-1"),
    "TECHNIQUE": ("121064", "121065", "55111-9"),
}
_BY_CODE = {code: heading for heading, codes in _HEADINGS.items() for code in codes}
_DEEPEST = 20
_UNDEFINED = 0xFFFFFFFF
_MOST_BYTES = 16_000_000


def read_structured_report(path: Path) -> str:
    """Read the text of one document; empty if it has no text items.

    Raises UserError if the file cannot be read.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path} is not a structured report: it has over {_MOST_BYTES:,} bytes")
        with quiet_decoders():
            document = pydicom.dcmread(path, force=True)
            _check_whole(document)
            return report_text_of(document)
    except UserError:
        raise
    except Exception as error:  # pydicom raises almost anything on damage
        raise UserError(f"{path} is a damaged or truncated structured report") from error


def _check_whole(document: Dataset) -> None:
    """Raise EOFError for a truncated document: pydicom accepts it, but half a sentence misleads."""
    content: Any = document.get_item("ContentSequence")
    value = getattr(content, "value", None)
    if isinstance(value, bytes) and len(value) < content.length < _UNDEFINED:
        raise EOFError


def report_text_of(document: Dataset) -> str:
    """Like `read_structured_report`, for a pydicom data set."""
    parts: list[str] = []
    last = ""
    for heading, text in _items(document, "", 0):
        if heading != last:
            parts.append(f"\n{heading}:")
            last = heading
        parts.append(text)
    return "\n".join(parts).strip()


def _items(item: Dataset, heading: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield heading and text of every text item, in order."""
    if depth > _DEEPEST:
        return
    for child in item.get("ContentSequence") or []:
        below = _heading(child) or heading
        kind = str(child.get("ValueType") or "")
        text = ""
        if kind == "TEXT":
            text = str(child.get("TextValue") or "").strip()
        elif kind == "CODE" and below in ("FINDINGS", "IMPRESSION"):
            codes = child.get("ConceptCodeSequence") or []
            text = f"{codes[0].get('CodeMeaning') or ''}".strip() if codes else ""
            text = text and f"{text}."
        if text:
            yield below, text
        yield from _items(child, below, depth + 1)


def _heading(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or []
    if not names or str(item.get("ValueType") or "") not in ("CONTAINER", "TEXT", "CODE"):
        return ""
    return _BY_CODE.get(str(names[0].get("CodeValue") or "").strip(), "")
