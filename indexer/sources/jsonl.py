"""Your own studies: a JSON Lines file, or a ``.json`` file with a list of the same objects.

One study per line. The minimum is ``{"image": "a.png", "text": "FINDINGS: ..."}``; in full:

    {"study_id": "s1", "patient_id": "p1", "split": "train",
     "images": [{"path": "s1/pa.png", "view_position": "PA"}, "s1/lateral.dcm"],
     "indication": "...", "comparison": "...", "findings": "...", "impression": "...",
     "addendum": "...",
     "labels": {"Cardiomegaly": "positive", "Edema": "uncertain"}}

Paths are relative to the folder of the file. ``text`` is split into sections at its headings.
Without ``study_id`` a study is named after its line, ``line-1``. If there are labels and no text,
the labels are worded as label sentences; an observation that is not a key is unmentioned. The
licence is the user's own. Known noise: whatever the user's report system writes.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import parse_json
from indexer.sources.records import Record, check_file, check_identifier
from indexer.sources.split_choice import SplitChoice
from indexer.sources.study_values import KEYS, parse_study


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
        for number, values in self._objects():
            place = f"{self._path}, line {number}"
            if not isinstance(values, dict):
                raise UserError(f"{place}: expected a JSON object")
            if "conversations" in values:
                raise UserError(f"{self._path} holds LLaVA conversations: use --source llava")
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

    def _objects(self) -> Iterator[tuple[int, Any]]:
        try:
            if self._path.suffix == ".json":
                yield from self._listed()
                return
            with self._path.open(encoding="utf-8-sig", errors="strict") as lines:
                for number, line in enumerate(lines, start=1):
                    if not line.strip():
                        continue
                    try:
                        values = parse_json(line)
                    except ValueError as error:
                        raise UserError(
                            f"{self._path}, line {number}: invalid JSON ({error})"
                        ) from error
                    yield number, values
        except UnicodeDecodeError as error:
            raise UserError(f"{self._path} is not UTF-8 text") from error

    def _listed(self) -> Iterator[tuple[int, Any]]:
        text = self._path.read_text(encoding="utf-8-sig")
        try:
            listed = parse_json(text)
        except ValueError as error:
            raise UserError(f"{self._path}: invalid JSON ({error})") from error
        if isinstance(listed, dict) and {"train", "val", "test"} & listed.keys():
            raise UserError(f"{self._path} is an R2Gen annotation: use --source r2gen")
        if not isinstance(listed, list):
            raise UserError(f"{self._path}: expected a list of studies")
        yield from enumerate(listed, start=1)
