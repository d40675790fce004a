"""Convert a user's description of a study (a JSON object, or rows of a table) into a record.

Known keys: ``study_id``, ``patient_id``, ``study_date`` (``2026-05-03`` or ``20260503``),
``image`` or ``images`` (paths, or objects with ``path``
and ``view_position``), ``view_position``, ``text`` (split at its headings) or ``indication``,
``comparison``, ``findings`` and ``impression``, ``addendum`` (what was added to the report later:
it may correct it), ``labels`` (observation to state, or names of any labels) and ``split``. For a
study with labels and no text, the labels are worded as sentences.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from db.errors import UserError
from db.index.store import ViewPosition
from db.labels import OBSERVATIONS, STATES, Labels
from indexer.reports.sections.markup import plain_text
from indexer.reports.sections.parse import (
    SECTIONS,
    ParsedReport,
    add_addendum,
    parse_report,
)
from indexer.sources.label_words import (
    labels_of_sentences,
    sentence_of_label,
    sentences_of_labels,
)
from indexer.sources.records import (
    ImageRecord,
    LabelSentence,
    Record,
    StudyRecord,
    check_study_id,
    read_date,
    usable_or_skipped,
)

TEXTS = ("text", *SECTIONS, "addendum")
UNREAD_DATE = "a study date that is not like 2026-05-03 was left out"

KEYS = frozenset(
    {
        "study_id",
        "patient_id",
        "study_date",
        "image",
        "images",
        "view_position",
        "labels",
        "split",
        *TEXTS,
    }
)


_LONGEST_TITLE = 200


def parse_study(values: Mapping[str, Any], place: str, *, folder: Path, default_id: str) -> Record:
    """Make a record; ``folder`` is the base of relative paths, ``default_id`` the id if none is
    given.

    Raises UserError that names ``place`` and the invalid value.
    """
    reader = _Reader(values, place)
    study_id = reader.text("study_id") or default_id
    check_study_id(study_id, place)
    report = read_texts({name: reader.text(name) for name in TEXTS})
    date = read_date(values.get("study_date"))
    undated = () if date is not None or not values.get("study_date") else (UNREAD_DATE,)
    labels, sentences = reader.labels()
    if report.findings or report.impression:
        sentences = ()
    return usable_or_skipped(
        StudyRecord(
            study_id=study_id,
            patient_id=reader.text("patient_id") or None,
            study_date=date,
            images=tuple(reader.images(folder)),
            label_sentences=sentences,
            labels=labels,
            split=reader.text("split") or None,
            indication=report.indication,
            comparison=report.comparison,
            findings=report.findings,
            impression=report.impression,
            notes=(*report.remarks, *undated),
        )
    )


def read_texts(texts: Mapping[str, str]) -> ParsedReport:
    """Read a report given as some of `TEXTS`: whole, in sections, with an addendum of its own.

    A section that is given counts before the one of that name in the whole report.
    """
    report = parse_report(texts.get("text", ""))
    given = {name: plain_text(texts.get(name, "")).strip() for name in SECTIONS}
    if len(given["findings"]) < _LONGEST_TITLE and _is_title(given["findings"]):
        given["findings"] = ""
    sections = {name: given[name] or getattr(report, name) for name in SECTIONS}
    report = ParsedReport(**sections, left_out=report.left_out, notes=report.notes)
    addendum = texts.get("addendum", "")
    return add_addendum(report, addendum) if addendum else report


def _is_title(text: str) -> bool:
    """Whether a text says what was examined, and nothing of what was found."""
    found = parse_report(text)
    return not (found.findings or found.impression)


class _Reader:
    """The values of one study, checked as they are read."""

    def __init__(self, values: Mapping[str, Any], place: str) -> None:
        self._values = values
        self._place = place

    def text(self, key: str) -> str:
        value = self._values.get(key)
        if value is None:
            return ""
        if isinstance(value, int) and key.endswith("_id"):
            return str(value)
        if not isinstance(value, str):
            raise self._error(f"'{key}' must be text")
        return value.strip()

    def images(self, folder: Path) -> Iterator[ImageRecord]:
        listed = self._values.get("images") or []
        if not isinstance(listed, list):
            raise self._error("'images' must be a list")
        if self._values.get("image") is not None:
            view = self._values.get("view_position")
            listed = [{"path": self._values["image"], "view_position": view}, *listed]
        for entry in listed:
            given = {"path": entry} if isinstance(entry, str) else entry
            if not isinstance(given, dict) or not isinstance(given.get("path"), str):
                raise self._error(f"{json.dumps(entry, default=str)[:80]} is not an image path")
            view = given.get("view_position")
            if view is not None and view not in get_args(ViewPosition):
                raise self._error(f"view_position '{view}' is not one of {get_args(ViewPosition)}")
            yield ImageRecord(path=folder / given["path"], view_position=view)

    def labels(self) -> tuple[Labels | None, tuple[LabelSentence, ...]]:
        labels = self._values.get("labels")
        if labels is None:
            return None, ()
        if isinstance(labels, list) and all(isinstance(name, str) for name in labels):
            sentences = tuple(
                sentence_of_label(name) for name in dict.fromkeys(labels) if name.strip()
            )
            return labels_of_sentences(sentences), sentences
        if not isinstance(labels, dict):
            raise self._error("'labels' must map an observation to a state")
        for observation, state in labels.items():
            if observation not in OBSERVATIONS:
                raise self._error(f"'{observation}' is not one of {OBSERVATIONS}")
            if state not in STATES:
                raise self._error(f"state '{state}' is not one of {STATES}")
        return labels, sentences_of_labels(labels)

    def _error(self, message: str) -> UserError:
        return UserError(f"{self._place}: {message}")
