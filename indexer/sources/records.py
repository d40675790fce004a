"""What a source yields: one record a study, or the reason why a study is left out.

for record in source.records():          # same order on every call
    ...
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from db.errors import NotFoundError, UserError
from db.index.store import CaseImage, ViewPosition
from db.labels import Labels

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_file(path: Path, expected: str) -> None:
    """Raises NotFoundError for a folder or nothing; ``expected`` ends the sentence."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise NotFoundError(f"{path} {what}: {expected}")


def check_identifier(value: str, what: str) -> str:
    """``value`` where it can stand in a URL and a file name.

    Raises UserError that names the value otherwise.
    """
    if not _IDENTIFIER.fullmatch(value):
        raise UserError(
            f"{what} '{value[:80]}' cannot be used: take letters, digits, '.', '_' and '-', "
            "at most 128, a letter or digit first"
        )
    return value


@dataclass(frozen=True, kw_only=True)
class BoundingBox:
    """Where in an image a person marked something."""

    name: str
    """As the data set calls it."""
    left: float
    """Pixels of the image file, as are the next three."""
    top: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class LabelSentence:
    """A label of a data set in words, for a study that has no report."""

    text: str
    labels: Labels
    """What it says of the 14 observations; empty for a label that is none of them."""


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One image file of a study."""

    path: Path
    view_position: ViewPosition | None = None
    original_size: tuple[int, int] | None = None
    """(width, height) of the radiograph where the file at hand was squashed to another aspect
    ratio; it is stretched back before it is embedded."""
    boxes: tuple[BoundingBox, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EmbeddedStudy:
    """A study that was embedded earlier: no image needs to be read."""

    vector: np.ndarray
    """(dim,) float32, unit length."""
    image_vectors: np.ndarray
    """(images, dim), unit length; a row per image."""
    images: tuple[CaseImage, ...]


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """One study as its data set gives it."""

    study_id: str
    patient_id: str | None = None
    images: tuple[ImageRecord, ...] = ()
    indication: str = ""
    comparison: str = ""
    """Earlier images that the report names; for the audit, never indexed."""
    findings: str = ""
    impression: str = ""
    label_sentences: tuple[LabelSentence, ...] = ()
    """Of a study that has labels and no report; they are indexed in the section ``labels``."""
    labels: Labels | None = None
    """The data set's own labels; None lets the labeller read the report."""
    split: str | None = None
    """``train``, ``val``, ``test`` or what else the data set calls it; None where it has none."""
    embedded: EmbeddedStudy | None = None


@dataclass(frozen=True, kw_only=True)
class SkippedStudy:
    """A study that cannot be indexed."""

    study_id: str
    reason: str
    """Few distinct texts, because they are counted; what differs goes into ``detail``."""
    detail: str = ""


Record = StudyRecord | SkippedStudy

NO_TEXT = "report without findings or impression"
NO_REPORT = "no report file"
NO_IMAGE = "no image"
NO_LABEL = "no label"


def usable_or_skipped(study: StudyRecord) -> Record:
    """The study, or why it is left out: it has no image, or nothing is said of it."""
    if not (study.findings or study.impression or study.label_sentences):
        return SkippedStudy(study_id=study.study_id, reason=NO_TEXT)
    if not (study.images or study.embedded):
        return SkippedStudy(study_id=study.study_id, reason=NO_IMAGE)
    return study


class Source(Protocol):
    """A data set, or a part of it."""

    name: str
    """By which cases are cited, e.g. ``openi``."""
    split: str
    licence: str

    def records(self) -> Iterator[Record]:
        """All studies in an order that never changes.

        Raises UserError where the data set is not laid out as expected.
        """
        ...


def read_split(path: Path) -> Mapping[str, str]:
    """A split file: JSON with lists of study ids under ``train``, ``val`` and ``test``.

    Returns study id to split. Raises UserError for another form, and for a study in two lists.
    """
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
        splits: dict[str, str] = {}
        for split in ("train", "val", "test"):
            for study in lists.get(split, ()):
                if splits.setdefault(str(study), split) != split:
                    raise UserError(f"{path}: study {study} is in two splits")
    except OSError as error:
        raise UserError(f"split file {path} cannot be read ({error.strerror})") from error
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path} is no split file: expected JSON like "
            '{"train": ["1", "2"], "val": ["3"], "test": ["4"]}'
        ) from error
    return splits
