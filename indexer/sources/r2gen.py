"""``annotation.json`` of R2Gen and of models that follow it (arXiv 2010.16056).

Source: whoever made the file; the images stay where their data set has them. Licence: that of the
data set. Layout: one object with a list for each split:

    {"train": [{"id": "CXR1", "report": "The heart is ...", "image_path": ["CXR1/0.png"]}],
     "val": [...], "test": [...]}

``study_id`` and ``subject_id`` are read where they are given (the file for MIMIC-CXR has them);
entries of one study are one study. Images are looked for beside the file, in the folders around it,
and below ``--images-dir``. Splits are the lists. Labels: none; the labeller reads the report. Known
noise: reports are often lower-cased, and cut after 60 or 100 words.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from db.errors import UserError
from indexer.sources.json_entries import EntryFile


class R2GenAnnotations(EntryFile):
    """Studies of R2Gen's ``annotation.json``."""

    def entries(self) -> Iterator[tuple[str, Any]]:
        splits = self.load_json()
        if not (isinstance(splits, dict) and all(isinstance(one, list) for one in splits.values())):
            raise UserError(
                f"{self.path} is not an R2Gen annotation: expected an object with lists under "
                "'train', 'val' and 'test'"
            )
        for split, entries in splits.items():
            for number, entry in enumerate(entries, start=1):
                place = f"{self.path}, {split} {number}"
                if not isinstance(entry, dict) or "report" not in entry:
                    raise UserError(
                        f"{place}: expected an object with 'id', 'report', 'image_path'"
                    )
                yield place, {**entry, "split": split}

    def texts(self, entry: Mapping[str, Any], place: str) -> dict[str, str]:
        report = entry["report"]
        if not isinstance(report, str | None):
            raise UserError(f"{place}: 'report' must be text")
        return {"text": report or ""}
