"""Your own studies: a JSON Lines file, or a ``.json`` file with a list of the same objects.

One study per line. The minimum is ``{"image": "a.png", "text": "FINDINGS: ..."}``; in full:

    {"study_id": "s1", "patient_id": "p1", "split": "train",
     "images": [{"path": "s1/pa.png", "view_position": "PA"}, "s1/lateral.dcm"],
     "indication": "...", "comparison": "...", "findings": "...", "impression": "...",
     "addendum": "...",
     "labels": {"Cardiomegaly": "positive", "Edema": "uncertain"}}

Paths are relative to the folder of the file. ``text`` is split into sections at its headings.
Without ``study_id`` a study is named after its line, ``line-1``. If there are labels and no text,
the labels are worded as label sentences; an observation that is not a key is unmentioned. Objects
with other keys are read as rows of a table, whose columns are guessed or mapped with ``--columns``
(`indexer.sources.own_table`). The licence is the user's own. Known noise: whatever the user's
report system writes.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import parse_json
from indexer.sources.column_guess import SAMPLE_ROWS
from indexer.sources.records import Record, check_file, check_identifier
from indexer.sources.split_choice import SplitChoice
from indexer.sources.study_values import KEYS, parse_study
from indexer.sources.tables import Row

_IMAGE_KEYS = frozenset({"image", "images"})
_CONTENT_KEYS = frozenset({"text", "findings", "impression", "labels"})


class JsonLines:
    """A file of studies; a ``.json`` file is read whole, JSON Lines line by line."""

    licence = "the owner's"

    def __init__(
        self,
        path: Path,
        *,
        name: str = "local",
        split: str | None = None,
        listed: Mapping[str, str] | None = None,
    ) -> None:
        """``split`` keeps only lines with this ``split``, or one of several separated by commas.
        ``listed`` (study id to split) takes precedence over the lines.
        """
        check_file(path, "--data-dir must name a JSON Lines file")
        self.name = check_identifier(name, "source name")
        self._choice = SplitChoice(keep=frozenset(split.split(",") if split else ()), listed=listed)
        self.split = self._choice.name
        self._path = path

    def records(self) -> Iterator[Record]:
        seen: set[str] = set()
        for number, values in read_objects(self._path):
            place = f"{self._path}, line {number}"
            unknown = sorted(values.keys() - KEYS)
            if unknown:
                raise UserError(f"{place}: unknown key '{unknown[0]}', known are {sorted(KEYS)}")
            study_id = str(values.get("study_id") or f"line-{number}")
            split = self._choice.split_of(study_id, values.get("split"))
            if not self._choice.includes(split):
                continue
            record = parse_study(
                {**values, "split": split}, place, folder=self._path.parent, default_id=study_id
            )
            if record.study_id in seen:
                raise UserError(f"{place}: study_id '{record.study_id}' occurs twice")
            seen.add(record.study_id)
            yield record


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a JSON Lines file, or of a ``.json`` file with a list of them, numbered.

    Raises UserError for invalid JSON, another layout or another encoding than UTF-8.
    """
    try:
        for number, values in _listed(path) if path.suffix == ".json" else _lines(path):
            if not isinstance(values, dict):
                raise UserError(f"{path}, line {number}: expected a JSON object")
            if "conversations" in values:
                raise UserError(f"{path} holds LLaVA conversations: use --source llava")
            yield number, values
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text") from error


def has_our_keys(path: Path) -> bool:
    """Whether the first objects name an image and a report or labels as we do."""
    keys = {key for _, values in islice(read_objects(path), SAMPLE_ROWS) for key in values}
    return not keys or bool(keys & _IMAGE_KEYS and keys & _CONTENT_KEYS)


def read_json_table(path: Path, *, head: bool = False) -> Iterator[tuple[str, Row]]:
    """Read the objects as rows of a table (`indexer.sources.tables.read_table`).

    Its columns are the keys of the first objects; a key that an object does not have is None.
    """
    objects = read_objects(path)
    first = list(islice(objects, SAMPLE_ROWS))
    columns = dict.fromkeys(key for _, values in first for key in values)
    if head:
        yield "", dict.fromkeys(columns, "")
    for number, values in chain(first, objects):
        yield f"{path}, line {number}", {**columns, **values}


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8-sig", errors="strict") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                values = parse_json(line)
            except ValueError as error:
                raise UserError(f"{path}, line {number}: invalid JSON ({error})") from error
            yield number, values


def _listed(path: Path) -> Iterator[tuple[int, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        listed = parse_json(text)
    except ValueError as error:
        raise UserError(f"{path}: invalid JSON ({error})") from error
    if isinstance(listed, dict) and {"train", "val", "test"} & listed.keys():
        raise UserError(f"{path} is an R2Gen annotation: use --source r2gen")
    if not isinstance(listed, list):
        raise UserError(f"{path}: expected a list of studies")
    yield from enumerate(listed, start=1)
