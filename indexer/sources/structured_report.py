"""DICOM structured reports -> report text with headings.

    report = read_structured_report(path)
    report.text          # "FINDINGS:\\n..." as `reports.sections.parse_report` reads it
    report.indication    # and comparison: never mixed with what is said of the image

Reads Basic Text, Enhanced, Comprehensive and Extensible SR in the order of the document (PS3.3
C.17.3), under the headings of TID 2000 (CID 7001 and 7002, DCM or LOINC). Coded findings are said
with what their context and properties make of them ("Known absent", "Left", "Mild"); a coded or
written yes or no answers its question. Left out: the context of observer, procedure and subject,
measurements, images, and documents that are no report (radiation dose, key objects, logs).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from db.errors import UserError
from indexer.images.radiograph import quiet_decoders
from indexer.reports.sections.parse import ParsedReport, parse_report
from indexer.sources.coded_findings import details, is_answer, name_of, said, value_of

SEVERAL_REPORTS = "of several structured reports the latest was read, verified before unverified"
SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88."
REPORT_STORAGE = frozenset(f"{SR_STORAGE}{number}" for number in (11, 22, 33, 34, 35, 1, 2, 3, 4))
"""SOP classes of documents that hold reports, retired trial classes among them."""

_HEADINGS = {
    "FINDINGS": ("121070", "121071", "59776-5", "18782-3", "55109-3", "29545-1"),
    "IMPRESSION": (
        "121072",
        "121073",
        "121076",
        "121077",
        "121111",
        "19005-8",
        "55110-1",
        "55112-7",
    ),
    "INDICATION": (
        *("121060", "121062", "121109", "121110", "11329-0", "18785-6", "55115-0", "55108-5"),
        *("59768-2", "121059", "10164-2", "10154-3", "29299-5", "42349-1"),
    ),
    "COMPARISON": ("121066", "121068", "121069", "18834-2", "55114-3"),
    "RECOMMENDATION": ("121074", "121075", "18783-1"),
    "TECHNIQUE": ("121064", "121065", "55111-9"),
    "ADDENDUM": ("121078", "55107-7"),
}
_BY_CODE = {code: heading for heading, codes in _HEADINGS.items() for code in codes}
_NO_REPORT_TITLES = re.compile(
    r"\b(?:radiation dose|dose report|dose information|procedure log|of interest|for (?:referring"
    r"|surgery"
    r"|teaching|conference|therapy|patient|peer review|research)|rejected for|key (?:object"
    r"|images?)|quality"
    r" issue|best in set|manifest|measurement report|acquisition context)\b",
    re.IGNORECASE,
)
_NO_REPORT_CODES = frozenset({"113701", "113702", "113500", "121120", "126000"})
_KEY_OBJECTS = range(113000, 113040)
_OBSERVER_CONTEXT = range(121004, 121051)
"""DCM codes of TID 1001 to 1009: who observed whom, with what, in which procedure."""
_PEOPLE = re.compile(
    r"\b(?:name|organi[sz]ation|institution|accession|(?:patient|subject|study|order|placer"
    r"|filler) (?:id|uid"
    r"|number|name|sex|age|birth)|birth ?date|date of birth|mrn|physician|address|telephone"
    r"|observer)\b",
    re.IGNORECASE,
)
_OF_IMAGE = ("FINDINGS", "IMPRESSION", "ADDENDUM")
_DEEPEST = 20
_UNDEFINED = 0xFFFFFFFF
_MOST_BYTES = 16_000_000


@dataclass(frozen=True, kw_only=True)
class StructuredReport:
    """What a document says in words."""

    text: str = ""
    indication: str = ""
    comparison: str = ""
    is_addendum: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing of the image."""
        return not any(char.isalnum() for char in re.sub(r"(?m)^[A-Z]+:$", "", self.text))


def read_structured_report(path: Path) -> StructuredReport:
    """One document; an empty one where it is no report or says nothing in words.

    Raises UserError that names the file for one that cannot be read.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path} is not a structured report: it has over {_MOST_BYTES:,} bytes")
        with quiet_decoders():
            document = pydicom.dcmread(path, force=True)
            _check_whole(document)
            return read_document(document)
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


def read_document(document: Dataset) -> StructuredReport:
    """As `read_structured_report`, of a data set."""
    code, title = name_of(document)
    if code in _NO_REPORT_CODES or _number(code) in _KEY_OBJECTS or _NO_REPORT_TITLES.search(title):
        return StructuredReport()
    own = _BY_CODE.get(code, "")
    parts: list[str] = []
    aside: dict[str, list[str]] = {"INDICATION": [], "COMPARISON": []}
    headings = set()
    last = ""
    for heading, text in _items(document, "ADDENDUM" if own == "ADDENDUM" else "", 0):
        if heading in aside:
            aside[heading].append(text)
            continue
        heading = heading or last
        headings.add(heading)
        if heading != last:
            parts.append(f"\n{heading}:")
            last = heading
        parts.append(text)
    return StructuredReport(
        text="\n".join(parts).strip(),
        indication="\n".join(aside["INDICATION"]),
        comparison="\n".join(aside["COMPARISON"]),
        is_addendum=headings == {"ADDENDUM"} or "addend" in title.lower(),
    )


def _items(item: Dataset, heading: str, depth: int) -> Iterator[tuple[str, str]]:
    """Heading and text of every item that says something, in order."""
    if depth > _DEEPEST:
        return
    for child in item.get("ContentSequence") or []:
        if _is_context(child):
            continue
        kind = str(child.get("ValueType") or "")
        below = heading if heading == "COMPARISON" else _heading(child, kind) or heading
        if kind not in ("TEXT", "CODE"):
            yield from _items(child, below, depth + 1)
            continue
        if kind == "CODE" and not (below in _OF_IMAGE or is_answer(value_of(child))):
            continue
        text, is_past = said(child, is_heading=name_of(child)[0] in _BY_CODE)
        if text:
            yield "COMPARISON" if is_past else below, text
        yield from ((below, detail) for detail in details(child))


def _heading(item: Dataset, kind: str) -> str:
    return _BY_CODE.get(name_of(item)[0], "") if kind in ("CONTAINER", "TEXT", "CODE") else ""


def _is_context(item: Dataset) -> bool:
    """Whether an item is about people, devices or orders, not about the image."""
    code, name = name_of(item)
    related = str(item.get("RelationshipType") or "")
    kind = str(item.get("ValueType") or "")
    return (
        related in ("HAS OBS CONTEXT", "HAS ACQ CONTEXT")
        or _number(code) in _OBSERVER_CONTEXT
        or (kind in ("TEXT", "CODE") and code not in _BY_CODE and _PEOPLE.search(name) is not None)
    )


def _number(code: str) -> int:
    return int(code) if code.isdigit() else -1


def read_documents(paths: Sequence[Path]) -> ParsedReport | None:
    """The last of a study's reports that says something, with the addenda to it.

    ``paths`` stand in the order in which a later one replaces an earlier one. None where none says
    anything; raises UserError as `read_structured_report` does.
    """
    documents = [one for one in map(read_structured_report, paths) if not one.is_empty]
    documents = list(dict.fromkeys(documents))
    if not documents:
        return None
    reports = [one for one in documents if not one.is_addendum]
    addenda = [one.text for one in documents if one.is_addendum]
    latest = reports[-1] if reports else documents[-1]
    if not reports:
        addenda = addenda[:-1]
    marked = [text if text.startswith("ADDENDUM:") else f"ADDENDUM:\n{text}" for text in addenda]
    found = parse_report("\n\n".join([latest.text, *marked]))
    notes = found.notes if len(reports) < 2 else (*found.notes, SEVERAL_REPORTS)
    return replace(
        found,
        indication=latest.indication or found.indication,
        comparison="\n".join(filter(None, (latest.comparison, found.comparison))),
        notes=notes,
    )
