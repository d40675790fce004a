"""A case and its parts: what an index stores about one study."""

import datetime
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote

from db.errors import UserError
from db.labels import Labels

ViewPosition = Literal["PA", "AP", "FRONTAL", "LATERAL"]
"""FRONTAL is a frontal view whose direction, PA or AP, the data set does not state."""

Section = Literal["findings", "impression", "labels"]
"""The section of a sentence. ``labels``: not written by a radiologist, but derived from the labels
of a data set without reports; labels that it does not give are unmentioned, never negative."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence of a report, with its labels."""

    section: Section
    text: str
    """As in the indexed report, so that a quotation can be found again. In the section
    ``labels``: a label of the data set, worded by its source."""
    labels: Labels = field(default_factory=dict)
    refers_to_prior: bool = False
    """Whether the sentence compares with an earlier image."""


@dataclass(frozen=True, kw_only=True)
class CaseImage:
    """One radiograph of a case. The pixels stay where the data set has them."""

    path: str | None
    """Path at build time; only the file name, or None, if the index has just the vector."""
    view_position: ViewPosition | None
    width: int
    height: int
    pixels_sha256: str
    """Of the decoded 8-bit grey pixels and their shape."""
    dhash: int
    """64-bit difference hash of the decoded pixels; see
    ``indexer.images.reader.difference_hash``."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One indexed study: one report, one or more images, one vector (kept elsewhere)."""

    case_id: int
    """The key of the vector; valid only within this index."""
    source: str
    study_id: str
    patient_id: str | None
    indication: str
    findings: str
    impression: str
    labels: Labels
    sentences: tuple[Sentence, ...]
    images: tuple[CaseImage, ...]
    study_date: datetime.date | None = None
    """None where the data set has none, or the index was built before dates were kept."""

    @property
    def report(self) -> str:
        """Findings and impression as one text; if both are empty, the label sentences."""
        written = "\n\n".join(part for part in (self.findings, self.impression) if part)
        return written or " ".join(s.text for s in self.sentences if s.section == "labels")


KEY = re.compile(r"[^:]+:.+", re.DOTALL)
"""What `split_case_key` takes."""


def case_key(source: str, study_id: str) -> str:
    """Format ``source:study_id`` as one URL path segment.

    Everything but letters, digits and ``_.-~`` is percent-encoded in the key itself (and once more
    in an address), so a key holds no slash. ``openi:1234`` stays as it is.
    """
    return f"{quote(source, safe='')}:{quote(study_id, safe='')}"


def split_case_key(key: str) -> tuple[str, str]:
    """Split a key into source and study id. Raises UserError for an invalid key."""
    source, colon, study_id = key.partition(":")
    if not (source and colon and study_id):
        raise UserError(f"'{key}' is not a case: write source:study_id, such as openi:1234")
    return unquote(source), unquote(study_id)
