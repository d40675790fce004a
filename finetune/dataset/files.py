"""Rows of a file as they stand in it, each with its place for messages.

    for place, row in read_rows(Path("train.jsonl")):
        ...                              # str(place): "train.jsonl, line 2"

Values are those of the file: dates in JSON stay text, and rows may differ in their keys. What is no
JSON on one line is passed on as a `Malformed` row; what is wrong with the file as a whole is a
UserError. Class labels of a Parquet file are read by their names.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import UserError
from indexer.sources.tables import read_table

Rows = Iterator[tuple["Place", Any]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a row stands."""

    file: str
    row: str
    """``row 3``, or ``line 3`` of a text file."""

    def __str__(self) -> str:
        return f"{self.file}, {self.row}"


@dataclass(frozen=True, kw_only=True)
class Malformed:
    """In place of a row that cannot be read."""

    reason: str


def read_rows(path: Path) -> Rows:
    """Every row. Raises UserError for a file that cannot be read."""
    ending = next(ending for ending in FORMATS if path.name.lower().endswith(ending))
    try:
        yield from FORMATS[ending](path)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte {error.start:,} is {error.object[error.start]:#x}): "
            "save it as UTF-8"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error


def json_splits(path: Path) -> dict[str, list[tuple[Place, Any]]]:
    """Lists of a JSON file by the name of their split; empty for a file without any."""
    try:
        whole = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(whole, dict) or not isinstance(whole.get("train"), list):
        return {}
    return {
        split: [
            (Place(file=path.name, row=f"row {number} of {split}"), row)
            for number, row in enumerate(listed, start=1)
        ]
        for split, listed in whole.items()
        if isinstance(listed, list)
    }


def _json(path: Path) -> Rows:
    text = path.read_bytes().decode("utf-8-sig")
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        if _is_object(text.strip().partition("\n")[0]):
            yield from _json_lines(path)
            return
        raise UserError(
            f"{path} cannot be read as a data set (invalid JSON: {error}): it must be a list of "
            "objects, one an example"
        ) from error
    for number, row in enumerate(_listed(whole, path), start=1):
        yield Place(file=path.name, row=f"row {number}"), row


def _listed(whole: Any, path: Path) -> list[Any]:
    """The rows of a list, or of the one list of objects that an object holds."""
    if isinstance(whole, list):
        return whole
    if isinstance(whole, dict):
        lists = [
            value
            for value in whole.values()
            if isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
        ]
        if isinstance(whole.get("data"), list):
            return list(whole["data"])
        if len(lists) == 1 and not {"messages", "conversations"} & whole.keys():
            return lists[0]
        return [whole]
    raise UserError(f"{path} holds no rows: it must be a list of objects, one an example")


def _json_lines(path: Path) -> Rows:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if number == 1 and text.startswith("[") and not _is_row(text):
                yield from _json(path)
                return
            if not text:
                continue
            place = Place(file=path.name, row=f"line {number}")
            try:
                yield place, json.loads(text)
            except (ValueError, RecursionError) as error:
                yield place, Malformed(reason=f"it is not JSON ({error})")


def _is_row(text: str) -> bool:
    """Whether a first line that begins a list is a row of its own, and not the whole file."""
    try:
        return not isinstance(json.loads(text)[0], dict)
    except (ValueError, IndexError, RecursionError):
        return False


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _table(path: Path) -> Rows:
    for place, row in read_table(path):
        yield Place(file=path.name, row=place.rpartition(", ")[2]), row


def _parquet(path: Path) -> Rows:
    import datasets
    from pyarrow import ArrowException, parquet

    from finetune.dataset.hub import class_names, named

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            names = class_names(datasets.Features.from_arrow_schema(file.schema_arrow))
            for batch in file.iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    number += 1
                    yield Place(file=path.name, row=f"row {number}"), named(row, names)
    except (ArrowException, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path} cannot be read as Parquet after row {number} ({reason}): write it again"
        ) from error


FORMATS: Mapping[str, Callable[[Path], Rows]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _table,
    ".csv.gz": _table,
    ".tsv": _table,
    ".parquet": _parquet,
}
