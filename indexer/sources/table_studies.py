"""Group rows of your own table into studies, whatever the rows come from.

Rows with the same study_id form one study: images of all rows are used, different texts are joined
(a report and its addendum), labels are merged, positive over uncertain over negative; for anything
else the first row counts. Without study_id each row is a study.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.labels import OBSERVATIONS, STATES, State
from indexer.images.dicom_header import read_view
from indexer.reports.sections.statements import is_missing
from indexer.sources.grouping import Groups, Rows
from indexer.sources.image_bytes import ImageStore
from indexer.sources.image_paths import ImagePaths, split_cell
from indexer.sources.label_words import CHEXPERT_STATES
from indexer.sources.records import TWO_PATIENTS, Record, RowCounts, SkippedStudy
from indexer.sources.split_choice import SplitChoice
from indexer.sources.study_values import KEYS, TEXTS, parse_study

_CONTENT_COLUMNS = frozenset({"text", "findings", "impression", "labels", *OBSERVATIONS})
_PLACE = "place"
_LIST = re.compile(r"['\"\s]*[|;,\n]['\"\s]*|^['\"]|['\"]$")
_RANK: tuple[State, ...] = ("negative", "uncertain", "positive")


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """How to read rows."""

    columns: Mapping[str, str]
    """Our column names to those of the table; equal names may be omitted."""
    images: ImageStore
    """Where to write images given as bytes."""
    folder: Path
    """The base of relative paths."""
    choice: SplitChoice
    paths: ImagePaths | None = None
    """How to find images by their paths; None: relative to ``folder``."""


class TableStudies:
    """Studies from rows, which are read once and then kept on disk, grouped by study."""

    def __init__(
        self, read: Callable[[], Iterable[tuple[str, Mapping[str, Any]]]], reading: RowOptions
    ) -> None:
        """``read`` yields each row with a description of its place for messages."""
        self._read = read
        self._reading = reading
        self._groups: Groups | None = None
        self.rows: RowCounts | None = None
        """Of the rows read; None before the first reading is complete."""

    def records(self) -> Iterator[Record]:
        """Yield studies by ascending id. Raises UserError for an invalid column or cell."""
        if self._groups is None:
            self._groups = Groups({"row": self._rows()})
        repeated: list[str] = []
        count = 0
        for study_id, tables in self._groups:
            given = len(tables["row"])
            rows, again = _without_repetitions(tables["row"])
            patients = sorted({str(row["patient_id"]) for row in rows if row.get("patient_id")})
            values = merge_rows(rows)
            split = self._reading.choice.split_of(study_id, values.get("split"))
            if not self._reading.choice.includes(split):
                continue
            count += given
            repeated += again
            if len(patients) > 1:
                yield SkippedStudy(
                    study_id=study_id, reason=TWO_PATIENTS, detail=f"patients {', '.join(patients)}"
                )
            else:
                yield parse_study(
                    {**values, "split": split},
                    f"study {study_id}",
                    folder=self._reading.folder,
                    default_id=study_id,
                )
        self.rows = RowCounts(rows=count, repeated=tuple(repeated))

    def _rows(self) -> Rows:
        for number, (place, row) in enumerate(self._read(), start=1):
            reading = self._reading
            values = row_values(row, reading.columns, place, reading.images, reading.paths)
            yield values.setdefault("study_id", f"row-{number}"), {**values, _PLACE: place}


def _without_repetitions(
    rows: Iterable[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[str]]:
    """Drop rows that equal an earlier one; return the others and the places of the dropped."""
    kept: list[dict[str, Any]] = []
    repeated = []
    for row in rows:
        place = row.pop(_PLACE, "")
        if row in kept:
            repeated.append(place)
        else:
            kept.append(row)
    return kept, repeated


def row_values(
    row: Mapping[str, Any],
    columns: Mapping[str, str],
    place: str,
    images: ImageStore,
    paths: ImagePaths | None = None,
) -> dict[str, Any]:
    """Convert one row to the keys of `parse_study`, without empty cells.

    Raises UserError, naming ``place``, for a missing column or an invalid cell.
    """
    check_columns(row, columns, place)
    values: dict[str, Any] = {}
    for key in KEYS:
        cell = row.get(columns.get(key, key))
        if isinstance(cell, str):
            cell = cell.strip()
        if cell in (None, "", []) or _is_nan(cell) or (isinstance(cell, str) and is_missing(cell)):
            continue
        if key.endswith("_id"):
            cell = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
        values[key] = cell
    if "view_position" in values:
        values["view_position"] = read_view(values["view_position"])
    for key in ("image", "images"):
        if key in values:
            values[key] = _with_files(values[key], place, images, paths)
    if isinstance(values.get("labels"), str):
        values["labels"] = [name for name in _LIST.split(values["labels"].strip("[]")) if name]
    labels = {
        name: state
        for name in OBSERVATIONS
        if (state := _state(row.get(columns.get(name, name)), name, place)) is not None
    }
    if labels:
        values["labels"] = labels
    return values


def check_given(names: Iterable[str], columns: Mapping[str, str], table: str) -> None:
    """Raise UserError for a key that is not ours, or a column that the table does not have."""
    names = list(names)
    known = KEYS | set(OBSERVATIONS)
    for key, column in columns.items():
        if key not in known:
            raise UserError(f"--columns: '{key}' is not one of {', '.join(sorted(known))}")
        if column and column not in names:
            raise UserError(
                f"{table} has no column '{column}', which --columns names: it has "
                f"{', '.join(map(str, names))[:300]}"
            )


def check_columns(row: Mapping[str, Any], columns: Mapping[str, str], place: str) -> None:
    """Raise UserError unless the columns give an image and a text or label."""
    table = place.rpartition(",")[0] or place
    has = f"it has {', '.join(map(str, row))[:300]}"
    check_given(row, columns, table)
    named = {key for key in KEYS | set(OBSERVATIONS) if columns.get(key, key) in row}
    how = "name another with --columns"
    if not named & {"image", "images"}:
        raise UserError(f"{table} has no column 'image': {has}; {how} image=NAME")
    if not named & _CONTENT_COLUMNS:
        raise UserError(
            f"{table} has no column 'text', 'findings', 'impression' or for an observation: {has}; "
            f"{how} text=NAME"
        )


def merge_rows(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the rows of one study into one."""
    merged: dict[str, Any] = {}
    images: dict[str, Any] = {}
    texts: dict[str, dict[str, None]] = {}  # a dict for an ordered set
    for row in rows:
        image = row.get("image", [])
        for entry in (*(image if isinstance(image, list) else [image]), *row.get("images", [])):
            view = row.get("view_position")
            given = {"path": entry, "view_position": view} if isinstance(entry, str) else entry
            images.setdefault(str(given.get("path")), given)
        for key, value in row.items():
            if key in TEXTS:
                texts.setdefault(key, {})[str(value)] = None
            elif key == "labels" and isinstance(merged.get(key), dict) and isinstance(value, dict):
                merged[key] = _merge_labels(merged[key], value)
            else:
                merged.setdefault(key, value)
    for key in ("image", "view_position"):
        merged.pop(key, None)
    joined = {key: "\n\n".join(values) for key, values in texts.items()}
    return {**merged, **joined, "images": list(images.values())}


def _merge_labels(one: dict[str, State], other: dict[str, State]) -> dict[str, State]:
    merged = dict(one)
    for name, state in other.items():
        if name not in merged or _RANK.index(state) > _RANK.index(merged[name]):
            merged[name] = state
    return merged


def _with_files(cell: Any, place: str, images: ImageStore, paths: ImagePaths | None) -> Any:
    """Write image bytes to a file and return its path; look up paths."""
    if isinstance(cell, list):
        return [_with_files(entry, place, images, paths) for entry in cell]
    if isinstance(cell, str) and paths is not None:
        found = [str(paths.find(path)) for path in split_cell(cell)]
        return found[0] if len(found) == 1 else found
    if isinstance(cell, bytes):
        return str(images.save(cell, place))
    if isinstance(cell, dict) and isinstance(cell.get("bytes"), bytes):
        return str(images.save(cell["bytes"], place))
    if isinstance(cell, dict) and set(cell) == {"bytes", "path"}:
        return cell["path"]
    return cell


def _state(cell: Any, name: str, place: str) -> State | None:
    if cell is None or _is_nan(cell):
        return None
    text = str(cell).strip().lower()
    plain = text[:-2] if text.endswith(".0") else text
    for state in STATES:
        if plain == state:
            return state
    if plain not in CHEXPERT_STATES:
        raise UserError(
            f"{place}: '{text[:40]}' under '{name}' is not 1, 0, -1, {', '.join(STATES)} or empty"
        )
    return CHEXPERT_STATES[plain]


def _is_nan(cell: Any) -> bool:
    return isinstance(cell, float) and cell != cell
