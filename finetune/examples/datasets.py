"""Examples from a data set of images and texts, in the prompts that the service sends.

data = DatasetExamples.load("train.jsonl", Columns(image="image", text="text"), side=560)

There is no index behind them, so their prompts say that there are no prior cases. A text alone is
trained as the report on its image, a question with an answer as that. Everything is checked before
anything is trained on.
"""

import hashlib
import logging
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from PIL import Image

from db.errors import UserError
from finetune.examples.folder import Example
from finetune.examples.rows import Columns, Row, RowError, read_splits, rows_of
from generator.context.build import write_context
from generator.prompts import PROMPT_VERSION, ask_prompt, report_prompt
from generator.study_canvas import study_canvas
from indexer.images.radiograph import Radiograph
from indexer.images.reader import read_radiograph

_log = logging.getLogger(__name__)

_HELD_OUT = 20
"""Without a val split, one image in so many is held out with all its texts."""
_SHOWN = 3
"""Bad rows that a message names."""


@dataclass(frozen=True, kw_only=True)
class DatasetExamples:
    """What a training run needs, images opened when they are wanted."""

    train: Sequence[Example]
    val: Sequence[Example]
    about: Mapping[str, Any]
    images: Sequence[Path | bytes]
    side: int

    @classmethod
    def load(
        cls, name: str, columns: Columns, *, side: int, limit: int = 0, skip_bad: bool = False
    ) -> Self:
        """Raises UserError for rows without image or text, unless they are to be skipped."""
        folder = Path(name) if Path(name).is_dir() else Path(name).parent
        splits = read_splits(name, limit=limit)
        found: list[tuple[str, Row]] = []
        bad: list[RowError] = []
        rows = 0
        for split, raws in splits.items():
            for row in rows_of(split, raws, columns, folder):
                rows += 1
                if isinstance(row, RowError):
                    bad.append(row)
                else:
                    found.append((split, row))
        images = _Images()
        examples: dict[str, list[Example]] = {"train": [], "val": []}
        digest = hashlib.sha256()
        for split, row in found:
            try:
                number = images.add(row.image)
                example = _example(row, number)
            except UserError as error:
                bad.append(RowError(f"{row.place}: {error}"))
                continue
            digest.update(f"{example.prompt}\0{example.answer}\0{images.hashes[number]}".encode())
            held = "val" not in splits and images.held_out(number)
            examples["val" if held else split].append(example)
        _report(name, bad, rows, skip_bad)
        _tell_sizes(images.sizes, side)
        return cls(
            train=examples["train"],
            val=examples["val"],
            about={
                "prompt_version": PROMPT_VERSION,
                "index_fingerprint": None,
                "encoder_sha256": None,
                "data_sha256": digest.hexdigest(),
                "source": name,
            },
            images=images.files,
            side=side,
        )

    def canvas(self, number: int) -> Image.Image:
        """The image as the service shows it to the model: grey, on a black square."""
        return study_canvas([_read(self.images[number]).pixels], self.side)


def _read(image: Path | bytes) -> Radiograph:
    """As the service reads it. Raises UserError for what is not one readable radiograph."""
    return read_radiograph(image, name=image.name if isinstance(image, Path) else None)


class _Images:
    """Every distinct image once, opened once to see that it can be."""

    def __init__(self) -> None:
        self.files: list[Path | bytes] = []
        self.hashes: list[str] = []
        self.sizes: Counter[tuple[int, int]] = Counter()
        self._numbers: dict[Path | str, int] = {}

    def add(self, image: Path | bytes) -> int:
        if isinstance(image, Path) and image in self._numbers:
            return self._numbers[image]
        content = image.read_bytes() if isinstance(image, Path) else image
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in self._numbers:
            height, width = _read(image).pixels.shape
            self.sizes[width, height] += 1
            self._numbers[sha256] = len(self.files)
            self.files.append(image)
            self.hashes.append(sha256)
        if isinstance(image, Path):
            self._numbers[image] = self._numbers[sha256]
        return self._numbers[sha256]

    def held_out(self, number: int) -> bool:
        return zlib.crc32(self.hashes[number].encode()) % _HELD_OUT == 0


def _example(row: Row, number: int) -> Example:
    context = write_context([], None, count_tokens=len)
    asked = row.question
    prompt = report_prompt(context) if asked is None else ask_prompt(context, asked)
    return Example(
        task=prompt.task, study_id=row.place, prompt=prompt.text, answer=row.text, canvas=number
    )


def _report(name: str, bad: Sequence[RowError], rows: int, skip_bad: bool) -> None:
    if not bad:
        return
    shown = "; ".join(str(error) for error in bad[:_SHOWN])
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    text = f"{len(bad)} of {rows} rows of {name} cannot be trained on: {shown}{more}"
    if not skip_bad:
        raise UserError(f"{text}: fix them, or skip them with --skip-bad")
    _log.warning("%s: left out", text)


def _tell_sizes(sizes: Iterable[tuple[int, int]], side: int) -> None:
    distinct = sorted(set(sizes))
    if len(distinct) > 1:
        _log.warning(
            "images of %d sizes, from %d x %d to %d x %d: each is fitted into a square of %d "
            "pixels; resize them yourself if they are not to be padded",
            len(distinct),
            *distinct[0],
            *distinct[-1],
            side,
        )
