"""Studies of one's own: a JSON Lines file.

One study a line. The least is ``{"image": "a.png", "text": "FINDINGS: ..."}``; a full one is

    {"study_id": "s1", "patient_id": "p1",
     "images": [{"path": "s1/pa.png", "view_position": "PA"}, "s1/lateral.dcm"],
     "indication": "...", "findings": "...", "impression": "...",
     "labels": {"Cardiomegaly": "positive", "Edema": "uncertain"}}

Paths are taken from the folder of the file. ``text`` is split into sections at its headings.
Without ``study_id`` a study is called after its line, ``line-1``. The licence is the user's own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from db.cases import ViewPosition
from db.errors import NotFoundError, UserError
from db.labels import OBSERVATIONS, STATES, Labels
from indexer.reports import split_sections
from indexer.sources.records import (
    ImageRecord,
    Record,
    SkippedStudy,
    StudyRecord,
    check_identifier,
)

_TEXTS = ("text", "indication", "findings", "impression")
_KEYS = {"study_id", "patient_id", "image", "images", "view_position", "labels", "split", *_TEXTS}


class JsonLines:
    """A JSON Lines file of studies."""

    licence = "the owner's"

    def __init__(self, path: Path, *, name: str = "local", split: str | None = None) -> None:
        """``split`` keeps the lines with this ``split``; lines without one are then left out."""
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: --data-dir names the JSON Lines file")
        self.name = check_identifier(name, "source name")
        self.split = split or "all"
        self._only = split
        self._path = path

    def records(self) -> Iterator[Record]:
        seen: set[str] = set()
        with self._path.open(encoding="utf-8-sig", errors="strict") as lines:
            try:
                for number, line in enumerate(lines, start=1):
                    if not line.strip():
                        continue
                    values = self._parse(line, number)
                    if self._only is not None and values.get("split") != self._only:
                        continue
                    record = self._record(values, number)
                    if record.study_id in seen:
                        raise self._error(number, f"study_id '{record.study_id}' occurs twice")
                    seen.add(record.study_id)
                    yield record
            except UnicodeDecodeError as error:
                raise UserError(f"{self._path} is not UTF-8 text") from error

    def _parse(self, line: str, number: int) -> dict[str, Any]:
        try:
            values = json.loads(line)
        except ValueError as error:
            raise self._error(number, f"no JSON ({error})") from error
        if not isinstance(values, dict):
            raise self._error(number, "a JSON object is expected")
        unknown = sorted(values.keys() - _KEYS)
        if unknown:
            raise self._error(number, f"unknown key '{unknown[0]}', known are {sorted(_KEYS)}")
        return values

    def _record(self, values: dict[str, Any], number: int) -> Record:
        study_id = self._text(values, "study_id", number) or f"line-{number}"
        check_identifier(study_id, f"{self._path}, line {number}: study_id")
        sections = {
            name: self._text(values, name, number)
            for name in ("indication", "findings", "impression")
        }
        text = self._text(values, "text", number)
        if text:
            found = split_sections(text)
            for name in sections:
                sections[name] = sections[name] or getattr(found, name)
        images = tuple(self._images(values, number))
        if not (sections["findings"] or sections["impression"]):
            return SkippedStudy(study_id=study_id, reason="report without findings or impression")
        if not images:
            return SkippedStudy(study_id=study_id, reason="no image")
        return StudyRecord(
            study_id=study_id,
            patient_id=self._text(values, "patient_id", number) or None,
            images=images,
            indication=sections["indication"],
            findings=sections["findings"],
            impression=sections["impression"],
            labels=self._labels(values, number),
        )

    def _images(self, values: dict[str, Any], number: int) -> Iterator[ImageRecord]:
        listed = values.get("images", [])
        if not isinstance(listed, list):
            raise self._error(number, "'images' must be a list")
        if values.get("image") is not None:
            listed = [
                {"path": values["image"], "view_position": values.get("view_position")},
                *listed,
            ]
        for entry in listed:
            given = {"path": entry} if isinstance(entry, str) else entry
            if not isinstance(given, dict) or not isinstance(given.get("path"), str):
                raise self._error(number, f"{json.dumps(entry)[:80]} is no image path")
            view = given.get("view_position")
            if view is not None and view not in get_args(ViewPosition):
                raise self._error(
                    number, f"view_position '{view}' is not one of {get_args(ViewPosition)}"
                )
            yield ImageRecord(path=self._path.parent / given["path"], view_position=view)

    def _labels(self, values: dict[str, Any], number: int) -> Labels | None:
        labels = values.get("labels")
        if labels is None:
            return None
        if not isinstance(labels, dict):
            raise self._error(number, "'labels' must map an observation to a state")
        for observation, state in labels.items():
            if observation not in OBSERVATIONS:
                raise self._error(number, f"'{observation}' is not one of {OBSERVATIONS}")
            if state not in STATES:
                raise self._error(number, f"state '{state}' is not one of {STATES}")
        return labels

    def _text(self, values: dict[str, Any], key: str, number: int) -> str:
        value = values.get(key)
        if value is None:
            return ""
        if isinstance(value, int) and key.endswith("_id"):
            return str(value)
        if not isinstance(value, str):
            raise self._error(number, f"'{key}' must be text")
        return value.strip()

    def _error(self, number: int, message: str) -> UserError:
        return UserError(f"{self._path}, line {number}: {message}")
