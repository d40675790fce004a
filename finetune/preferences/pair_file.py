"""Pairs in a file that people can read and edit, beside the images they are about.

    write_pairs(directory, {"train": pairs, "val": others}, canvases, about)
    data = PairFile.load(directory / "pairs.jsonl")
    data.train[0].rejected, data.canvas(data.train[0].canvas)

``pairs.jsonl`` holds one pair a line: kind, split, study, patient, image, prompt, chosen and
rejected answer, scores. ``images`` holds the canvases that the model is shown, ``pairs.json`` what
the pairs were made from, and which studies and patients are held out. Rows may be edited, added and
taken out; all of it is patients' data.
"""

import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_args

from PIL import Image

from db.errors import NotFoundError, UserError
from db.files import read_json, replacing, write_bytes, write_json, writing
from finetune.dataset.bad_rows import report_bad_rows
from finetune.dataset.files import FORMATS, Malformed, Place, read_rows
from finetune.dataset.rows import RowError
from finetune.dataset.splits import SplitName
from finetune.preferences.pairs import PreferencePair
from finetune.preferences.prompts import Kind

_log = logging.getLogger(__name__)

PAIRS, ABOUT, IMAGES = "pairs.jsonl", "pairs.json", "images"
_SHOWN = 3
_TEXTS = ("kind", "split", "study_id", "prompt", "chosen", "rejected")


def write_pairs(
    directory: Path,
    pairs: Mapping[SplitName, Sequence[PreferencePair]],
    canvases: Mapping[str, bytes],
    about: Mapping[str, Any],
) -> Path:
    """Write pairs and the canvases of their studies, JPEG files by study id; returns the file."""
    images = directory / IMAGES
    with writing(images):
        images.mkdir(parents=True, exist_ok=True)
    names = {}
    for study_id in {one.study_id for some in pairs.values() for one in some}:
        content = canvases[study_id]
        names[study_id] = f"{IMAGES}/{hashlib.sha256(content).hexdigest()[:16]}.jpg"
        write_bytes(directory / names[study_id], content)
    lines = [
        {
            "kind": one.kind,
            "split": split,
            "study_id": one.study_id,
            "patient_id": one.patient_id,
            "image": names[one.study_id],
            "prompt": one.prompt,
            "chosen": one.answer,
            "rejected": one.rejected,
            "scores": one.scores,
        }
        for split, some in pairs.items()
        for one in some
    ]
    path = directory / PAIRS
    with writing(path), replacing(path) as fresh, fresh.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)
    write_json(directory / ABOUT, about)
    return path


@dataclass(frozen=True, kw_only=True)
class PairFile:
    """Pairs to train on and to validate with, as a training run takes them."""

    train: Sequence[PreferencePair]
    val: Sequence[PreferencePair]
    about: Mapping[str, Any]
    images: Sequence[Path]

    def canvas(self, number: int) -> Image.Image:
        return Image.open(self.images[number]).convert("RGB")

    @classmethod
    def load(cls, path: Path, *, skip_bad: bool = False, bad_rows: Path | None = None) -> Self:
        """``bad_rows`` is a file to list bad rows in.

        Raises NotFoundError for no such file, and UserError for rows that cannot be trained on,
        unless they are to be skipped, and for pairs whose studies are held out.
        """
        about = _about(path)
        reading = _Reading(folder=path.parent)
        for place, raw in read_rows(path):
            reading.read(place, raw)
        report_bad_rows(path.name, reading.bad, reading.rows, skip=skip_bad, listed=bad_rows)
        train, val = reading.pairs["train"], reading.pairs["val"]
        if not train:
            raise UserError(f"{path} has no pair to train on: make more with finetune pairs")
        _check_apart(path, train, val, about.get("held_out", {}), reading)
        if not val:
            _log.warning("no pair is held out: the last weights are kept, without validation")
        return cls(
            train=train,
            val=val,
            about={**about, "data_sha256": reading.digest.hexdigest()},
            images=list(reading.numbers),
        )


def _about(path: Path) -> dict[str, Any]:
    about = path.with_suffix(".json")
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist: make pairs with finetune pairs")
    if path.suffix not in FORMATS or not about.is_file() or about == path:
        raise NotFoundError(
            f"{about} is missing, which says what the pairs of {path.name} were made from: name "
            f"the {PAIRS} of finetune pairs, and keep both files together"
        )
    return read_json(about)


@dataclass(kw_only=True)
class _Reading:
    """What is found while the rows are read."""

    folder: Path
    pairs: dict[SplitName, list[PreferencePair]] = field(
        default_factory=lambda: {"train": [], "val": []}
    )
    bad: list[RowError] = field(default_factory=list)
    rows: int = 0
    numbers: dict[Path, int] = field(default_factory=dict)
    """Image files in the order in which they are met."""
    sha256: dict[int, str] = field(default_factory=dict)
    digest: Any = field(default_factory=hashlib.sha256)
    """Of everything that is trained on or validated with."""

    def read(self, place: Place, raw: Any) -> None:
        self.rows += 1
        try:
            self._read(place, raw)
        except RowError as error:
            self.bad.append(error)

    def _read(self, place: Place, raw: Any) -> None:
        if isinstance(raw, Malformed):
            raise RowError(place, None, raw.reason)
        if not isinstance(raw, dict):
            raise RowError(place, None, "it is no object with columns")
        texts = {name: _text(place, raw, name) for name in _TEXTS}
        for name, known in (("kind", get_args(Kind)), ("split", tuple(self.pairs))):
            if texts[name] not in known:
                raise RowError(
                    place, name, f"it is '{texts[name]}': pairs are of {' or '.join(known)}"
                )
        if texts["chosen"].strip() == texts["rejected"].strip():
            raise RowError(place, "rejected", "it is the chosen answer: a pair needs two")
        patient = raw.get("patient_id")
        canvas = self._image(place, raw.get("image"))
        split: SplitName = "val" if texts["split"] == "val" else "train"
        self.pairs[split].append(
            PreferencePair(
                kind=texts["kind"],  # type: ignore[arg-type]
                study_id=texts["study_id"],
                patient_id=None if patient is None else str(patient),
                prompt=texts["prompt"],
                answer=texts["chosen"],
                rejected=texts["rejected"],
                canvas=canvas,
            )
        )
        for part in (*texts.values(), self.sha256[canvas]):
            self.digest.update(hashlib.sha256(part.encode()).digest())

    def _image(self, place: Place, value: Any) -> int:
        if not isinstance(value, str) or not value:
            raise RowError(place, "image", "it names no image")
        path = self.folder / value
        if path in self.numbers:
            return self.numbers[path]
        try:
            content = path.read_bytes()
            Image.open(io.BytesIO(content)).load()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            reason = "does not exist" if not path.is_file() else "cannot be read"
            raise RowError(place, "image", f"{value} {reason}") from error
        number = self.numbers[path] = len(self.numbers)
        self.sha256[number] = hashlib.sha256(content).hexdigest()
        return number


def _text(place: Place, raw: Mapping[str, Any], name: str) -> str:
    """A text as it stands: prompts have lines."""
    value = raw.get(name)
    if not isinstance(value, str):
        raise RowError(place, name, "it is missing" if value is None else "it is no text")
    if not value.strip():
        raise RowError(place, name, "it is empty")
    return value


def _check_apart(
    path: Path,
    train: Sequence[PreferencePair],
    val: Sequence[PreferencePair],
    held_out: Mapping[str, Any],
    reading: _Reading,
) -> None:
    """Raise UserError where train has a study, a patient or an image that is to be held out."""

    def keys(pairs: Sequence[PreferencePair]) -> Iterator[tuple[str, str]]:
        for one in pairs:
            yield "study", one.study_id
            if one.patient_id is not None:
                yield "patient", one.patient_id
            if one.canvas is not None:
                yield "image", reading.sha256[one.canvas]

    held = set(keys(val))
    for kind, name in (("study", "studies"), ("patient", "patients")):
        held |= {(kind, str(one)) for one in held_out.get(name, ())}
    shared = [key for key in dict.fromkeys(keys(train)) if key in held]
    if shared:
        some = ", ".join(f"{kind} {name[:16]}" for kind, name in shared[:_SHOWN])
        raise UserError(
            f"pairs of {path} train on what is held out ({some}"
            f"{', ...' if len(shared) > _SHOWN else ''}): take those rows out, or make the pairs "
            "again from other studies"
        )
