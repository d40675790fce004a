"""Studies of a JSON file with an entry per image or study, in somebody else's layout.

``id`` or ``study_id`` is the study, ``subject_id`` or ``patient_id`` the patient, ``image``,
``images`` or ``image_path`` a path or list of paths; entries of one study are one study. Images are
looked for beside the file, in the folders around it, and below ``--images-dir``.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import parse_json
from indexer.sources.column_guess import SAMPLE_ROWS
from indexer.sources.image_bytes import ImageStore
from indexer.sources.image_paths import ImagePaths
from indexer.sources.records import (
    NO_TEXT,
    Record,
    RowCounts,
    SkippedStudy,
    check_file,
    check_identifier,
)
from indexer.sources.split_choice import SplitChoice
from indexer.sources.table_studies import RowOptions, TableStudies

_SPLITS = {"validation": "val", "valid": "val", "dev": "val"}


class EntryFile:
    """Studies of one JSON file with an entry per image or study."""

    licence = "that of the data set"

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        images_dir: Path | None = None,
        choice: SplitChoice | None = None,
    ) -> None:
        """Raises NotFoundError if there is no file, and UserError if it has another layout."""
        check_file(path, "--data-dir must name the JSON file")
        self.name = check_identifier(name, "source name")
        choice = choice or SplitChoice()
        self.split = choice.name
        self.path = path
        self._skipped: list[SkippedStudy] = []
        first = [row for _, row in islice(self._read(), SAMPLE_ROWS)]
        cells = (path for row in first for path in row["images"])
        self._images = ImagePaths(cells, folder=path.parent.absolute(), images_dir=images_dir)
        self._studies = TableStudies(
            self._read,
            RowOptions(
                columns={},
                images=ImageStore(None),
                folder=path.parent,
                choice=choice,
                paths=self._images,
            ),
        )

    def records(self) -> Iterator[Record]:
        yield from self._studies.records()
        yield from self._skipped

    @property
    def rows(self) -> RowCounts | None:
        """Counts of entries; None before the first reading is complete."""
        return self._studies.rows

    @property
    def remarks(self) -> tuple[str, ...]:
        """Where the images were found, if not beside the file."""
        if self._images.base.absolute() == self.path.parent.absolute():
            return ()
        return (f"images are in {self._images.base}",)

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        self._skipped = []
        for place, entry in self.entries():
            if not isinstance(entry, Mapping):
                raise UserError(f"{place}: expected a JSON object")
            images = entry.get("image_path") or entry.get("image") or entry.get("images")
            images = [images] if isinstance(images, str) else images or []
            if not (isinstance(images, list) and all(isinstance(one, str) for one in images)):
                raise UserError(f"{place}: {json.dumps(images)[:80]} is no path or list of paths")
            row = {
                "study_id": entry.get("study_id") or entry.get("id"),
                "patient_id": entry.get("subject_id") or entry.get("patient_id"),
                "split": _SPLITS.get(str(entry.get("split")), entry.get("split")),
                "images": images,
                **self.texts(entry, place),
            }
            if not any(row.get(key) for key in ("text", "findings", "impression")):
                self._skipped.append(
                    SkippedStudy(study_id=str(row["study_id"] or place), reason=NO_TEXT)
                )
                continue
            yield place, row

    def entries(self) -> Iterator[tuple[str, Any]]:
        """Yield each entry with its place in the file."""
        raise NotImplementedError

    def texts(self, entry: Mapping[str, Any], place: str) -> dict[str, str]:
        """Return ``text``, ``findings`` or ``impression`` of an entry; none if it has no report."""
        raise NotImplementedError

    def load_json(self) -> Any:
        """Read the file. Raises UserError if it is not JSON."""
        try:
            return parse_json(self.path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path} is not UTF-8 text") from error
        except ValueError as error:
            raise UserError(f"{self.path}: invalid JSON ({error})") from error
