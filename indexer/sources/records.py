"""The records that a source yields: one per study, or the reason why a study is skipped.

for record in source.records():          # same order on every call
    ...
"""

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from db.errors import NotFoundError, UserError
from db.files import parse_json
from db.index.store import CaseImage, ViewPosition
from db.labels import Labels
from indexer.reports.sections.statements import says_nothing

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_file(path: Path, expected: str) -> None:
    """Raise NotFoundError unless ``path`` is a file; the message ends with ``expected``."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise NotFoundError(f"{path} {what}: {expected}")


def check_identifier(value: str, what: str) -> str:
    """Return ``value`` if it can be used in URLs and file names.

    Raises UserError otherwise.
    """
    if not _IDENTIFIER.fullmatch(value):
        raise UserError(
            f"{what} '{value[:80]}' cannot be used: use at most 128 letters, digits, '.', '_' "
            "and '-', starting with a letter or digit"
        )
    return value


def check_study_id(value: str, place: str) -> str:
    """Return ``value`` if it is one line of at most 128 printable characters.

    Raises UserError that names ``place`` otherwise.
    """
    if not value or len(value) > 128 or not value.isprintable():
        raise UserError(
            f"{place}: study_id {value[:80]!a} cannot be used: use one line of at most 128 "
            "characters"
        )
    return value


def read_date(value: object) -> datetime.date | None:
    """Read a date of ISO 8601, with or without hyphens and a time after it; None for anything
    else."""
    if isinstance(value, datetime.date):  # and a time, which is a date
        return datetime.date(value.year, value.month, value.day)
    try:
        return datetime.datetime.fromisoformat(str(value or "").strip()).date()
    except ValueError:
        return None


@dataclass(frozen=True, kw_only=True)
class BoundingBox:
    """A region of an image that a reader marked."""

    name: str
    """The label in the words of the data set."""
    left: float
    """In pixels of the image file, as the next three."""
    top: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class LabelSentence:
    """A label of a data set worded as a sentence, for a study without a report."""

    text: str
    labels: Labels
    """States of the 14 observations; empty for a label that is not one of them."""


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One image file of a study."""

    path: Path
    view_position: ViewPosition | None = None
    original_size: tuple[int, int] | None = None
    """(width, height) of the radiograph if the file has another aspect ratio; the original ratio is
    restored before embedding."""
    boxes: tuple[BoundingBox, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EmbeddedStudy:
    """A study that was embedded earlier, so that no image needs to be read."""

    vector: np.ndarray
    """(dim,) float32, unit length."""
    image_vectors: np.ndarray
    """(images, dim), unit length; a row per image."""
    images: tuple[CaseImage, ...]


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """One study as the data set describes it."""

    study_id: str
    patient_id: str | None = None
    images: tuple[ImageRecord, ...] = ()
    indication: str = ""
    comparison: str = ""
    """Earlier images that the report names; used by the audit, never indexed."""
    findings: str = ""
    impression: str = ""
    label_sentences: tuple[LabelSentence, ...] = ()
    """For a study with labels and no report; indexed in the section ``labels``."""
    labels: Labels | None = None
    """The data set's own labels; if None, the labeller reads the report."""
    split: str | None = None
    """``train``, ``val``, ``test`` or another name used by the data set; None if it has none."""
    notes: tuple[str, ...] = ()
    """What to know of how the report was read; few distinct texts, because they are counted."""
    embedded: EmbeddedStudy | None = None
    study_date: datetime.date | None = None


@dataclass(frozen=True, kw_only=True)
class SkippedStudy:
    """A study that cannot be indexed."""

    study_id: str
    reason: str
    """One of a few texts, which are counted; specifics go into ``detail``."""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """How many rows the tables of a source have, and which were dropped."""

    rows: int
    repeated: tuple[str, ...] = ()
    """Places of rows that equal an earlier row."""


Record = StudyRecord | SkippedStudy

NO_TEXT = "report without findings or impression"
NO_REPORT = "no report file"
NO_IMAGE = "no image"
NO_LABEL = "no label"
TWO_PATIENTS = "one study of two patients"


def usable_or_skipped(study: StudyRecord) -> Record:
    """Return the study, or the reason to skip it: no image, or neither report nor label.

    Findings or an impression such as "nan", "N/A" or "." say nothing and are emptied.
    """
    if says_nothing(study.findings):
        study = replace(study, findings="")
    if says_nothing(study.impression):
        study = replace(study, impression="")
    if not (study.findings or study.impression or study.label_sentences):
        return SkippedStudy(study_id=study.study_id, reason=NO_TEXT)
    if not (study.images or study.embedded):
        return SkippedStudy(study_id=study.study_id, reason=NO_IMAGE)
    return study


class Source(Protocol):
    """A data set, or a part of it."""

    name: str
    """The name by which cases are cited, such as ``openi``."""
    split: str
    licence: str

    def records(self) -> Iterator[Record]:
        """Yield all studies, always in the same order.

        Raises UserError if the data set is not laid out as expected.
        """
        ...


def read_split(path: Path) -> Mapping[str, str]:
    """Read a split file: JSON with lists of study ids under ``train``, ``val`` and ``test``.

    Returns a map of study ids to splits. Raises UserError for another format, and for a study in
    two lists.
    """
    try:
        lists = parse_json(path.read_text(encoding="utf-8"))
        splits: dict[str, str] = {}
        for split in ("train", "val", "test"):
            for study in lists.get(split, ()):
                if splits.setdefault(str(study), split) != split:
                    raise UserError(f"{path}: study {study} is in two splits")
    except OSError as error:
        raise UserError(f"split file {path} cannot be read ({error.strerror})") from error
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path} is not a split file: expected JSON like "
            '{"train": ["1", "2"], "val": ["3"], "test": ["4"]}'
        ) from error
    return splits
