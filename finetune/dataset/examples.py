"""Examples from a data set of images and texts, in the prompts that the service sends.

data = DatasetExamples.load("train.csv", Columns(text="report"), side=560)
data.train[0].prompt, data.canvas(data.train[0].canvas)

There is no index behind them, so their prompts say that there are no prior cases. A text alone is
trained as the report on its images, a question with an answer as that. Everything is checked before
anything is trained on.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self

from PIL import Image

from db.errors import UserError
from finetune.dataset.bad_rows import report_bad_rows
from finetune.dataset.held_out import Likeness, Member, check_apart, hold_out, warn_of_texts
from finetune.dataset.rows import Columns, Row, RowError, find_columns, read_row
from finetune.dataset.splits import Split, SplitName, find_splits
from finetune.dataset.store import StudyImages
from finetune.examples.folder import Example
from generator.context.build import write_context
from generator.prompts import PROMPT_VERSION, ask_prompt, report_prompt
from generator.study_canvas import MAX_VIEWS
from indexer.encoder.load import load_encoder
from indexer.encoder.spec import DEFAULT_ENCODER, Encoder
from indexer.sources.hold_out import HoldOut

_log = logging.getLogger(__name__)

DEFAULT_SHARE = 0.05
"""Of patients, or of images, held out where neither a val split nor a share is named."""
_HEAD = 100
"""Rows whose keys are looked at for columns."""


@dataclass(frozen=True, kw_only=True)
class DatasetExamples:
    """What a training run needs, images opened when they are wanted."""

    train: Sequence[Example]
    val: Sequence[Example]
    about: Mapping[str, Any]
    images: StudyImages
    side: int

    @classmethod
    def load(
        cls,
        name: str,
        columns: Columns,
        *,
        side: int,
        subset: str | None = None,
        limit: int = 0,
        skip_bad: bool = False,
        bad_rows: Path | None = None,
        hold_out: HoldOut | None = None,
        encoder: Callable[[], Encoder] = lambda: load_encoder(DEFAULT_ENCODER),
    ) -> Self:
        """``limit`` above 0 takes the first rows of each split. ``bad_rows`` is a file to list bad
        rows in. ``hold_out`` draws the val split from all rows, in place of one that is named.
        ``encoder`` compares images that may be near duplicates.

        Raises UserError for rows that cannot be trained on, unless they are to be skipped, and for
        a val split that shares images or patients with train.
        """
        reading = _Reading()
        splits = find_splits(name, subset=subset, stream=limit > 0)
        for split, source in splits.items():
            reading.read(split, source, columns, limit)
        report_bad_rows(name, reading.bad, reading.rows, skip=skip_bad, listed=bad_rows)
        if not any(member.split == "train" for member in reading.members):
            raise UserError(f"{name} has no row to train on: check the file")
        likeness = Likeness(reading.images, encoder)
        members = _split(reading, splits, hold_out, likeness, name)
        reading.warn(side)
        train, val = (
            [member.example for member in members if member.split == split]
            for split in ("train", "val")
        )
        warn_of_texts(train, val)
        return cls(
            train=train,
            val=val,
            about={
                "prompt_version": PROMPT_VERSION,
                "index_fingerprint": None,
                "encoder_sha256": None,
                "data_sha256": _digest(members, reading.images),
                "source": name,
            },
            images=reading.images,
            side=side,
        )

    def canvas(self, number: int) -> Image.Image:
        """The images of a study as the service shows them to the model."""
        return self.images.canvas(number, self.side)


@dataclass(kw_only=True)
class _Reading:
    """What is found while the rows are read."""

    members: list[Member] = field(default_factory=list)
    bad: list[RowError] = field(default_factory=list)
    images: StudyImages = field(default_factory=StudyImages)
    rows: int = 0
    other_languages: int = 0
    system: int = 0
    several_turns: int = 0
    patient_column: str | None = None

    def read(self, split: SplitName, source: Split, columns: Columns, limit: int) -> None:
        rows = islice(source.rows(), limit or None)
        head = list(islice(rows, _HEAD))
        if not head:
            return
        found = find_columns([raw for _, raw in head], columns)
        self.patient_column = self.patient_column or found.patient
        _log.info("%s: %s", split, found)
        for place, raw in chain(head, rows):
            if isinstance(raw, Mapping) and raw.get("q_lang", "en") != "en":
                self.other_languages += 1  # SLAKE asks everything twice, in English and in Chinese
                continue
            self.rows += 1
            try:
                row = read_row(place, raw, found, source.folder)
                self.members += self._members(row, split)
            except RowError as error:
                self.bad.append(error)
                continue
            self.system += row.system
            self.several_turns += len(row.turns) > 1

    def _members(self, row: Row, split: SplitName) -> list[Member]:
        members = []
        for turn in row.turns:
            try:
                study = self.images.add(row.images[: turn.images])
            except UserError as error:
                raise RowError(row.place, row.image_column, str(error)) from error
            try:
                example = _example(row, turn.question, turn.answer, study)
            except UserError as error:
                raise RowError(
                    row.place, row.question_column or row.text_column, str(error)
                ) from error
            images = self.images.studies[study]
            members.append(Member(split=split, example=example, images=images, patient=row.patient))
        return members

    def warn(self, side: int) -> None:
        """Log what is trained on otherwise than it stands in the data."""
        sizes = sorted(self.images.sizes)
        if len(sizes) > 1:
            _log.warning(
                "images of %d sizes, from %d x %d to %d x %d: each is fitted into a square of %d "
                "pixels; resize them yourself if they are not to be padded",
                *(len(sizes), *sizes[0], *sizes[-1], side),
            )
        for text, count in (
            ("rows in another language than English, left out", self.other_languages),
            ("conversations with a system message, which no prompt here has", self.system),
            (
                "conversations with several questions, each asked without those before it",
                self.several_turns,
            ),
            (
                f"studies with more than {MAX_VIEWS} images, of which the first are shown, as when "
                "serving",
                self.images.crowded,
            ),
        ):
            if count:
                _log.warning("%s: %d", text, count)


def _split(
    reading: _Reading,
    splits: Mapping[SplitName, Split],
    drawn: HoldOut | None,
    likeness: Likeness,
    name: str,
) -> list[Member]:
    """The members with the split that each belongs to."""
    members = reading.members
    if drawn is not None and drawn.unit == "patient" and reading.patient_column is None:
        raise UserError(
            f"{name} has no patient column that is known: name it with --patient-column, or hold "
            "out images with --hold-out image:0.1"
        )
    if drawn is None and "val" in splits:
        check_apart(members, likeness, name=name)
    else:
        chosen = drawn or HoldOut(share=DEFAULT_SHARE)
        held = hold_out(members, chosen, likeness, at_least=0 if drawn is None else 1)
        if drawn is not None and not held:
            raise UserError(f"{name} has one {drawn.unit} only, so that none can be held out")
        members = [
            Member(
                split="val" if place in held else "train",
                example=member.example,
                images=member.images,
                patient=member.patient,
            )
            for place, member in enumerate(members)
        ]
    counted = Counter(member.split for member in members)
    unknown = sum(member.patient is None for member in members)
    if counted["val"] and unknown:
        _log.warning(
            "%s: images of one patient may be in both train and val",
            "no patient column is known (name one with --patient-column)"
            if reading.patient_column is None
            else f"{unknown} examples have no patient",
        )
    if not counted["val"]:
        _log.warning("no example is held out: the last weights are kept, without validation")
    return members


def _example(row: Row, question: str | None, answer: str, study: int) -> Example:
    context = write_context([], None, count_tokens=len)
    prompt = report_prompt(context) if question is None else ask_prompt(context, question)
    return Example(
        task=prompt.task, study_id=str(row.place), prompt=prompt.text, answer=answer, canvas=study
    )


def _digest(members: Sequence[Member], images: StudyImages) -> str:
    """Of everything that is trained on, and of the split that each example is in."""
    digest = hashlib.sha256()
    for part in _parts(members, images):
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()


def _parts(members: Sequence[Member], images: StudyImages) -> Iterator[str]:
    for member in members:
        example = member.example
        yield from (member.split, example.prompt, example.answer)
        yield images.digest(example.canvas or 0)
