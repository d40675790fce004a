"""Training examples in one folder, for a GPU machine with few libraries installed.

pack = ExampleFolder.load(path)
example = pack.train[0]
example.prompt, example.answer, pack.canvas(example.canvas)

``pack.json`` records what they were made from, ``train.jsonl`` and ``val.jsonl`` hold one example
per line, and ``canvases.npz`` the images as grey JPEG files. There are no test studies, and val
studies serve selection only. The folder contains patient data: treat it as such.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.errors import NotFoundError, UserError
from db.files import parse_json, replacing_directory, write_json

JPEG_QUALITY = 80


@dataclass(frozen=True, kw_only=True)
class Example:
    """One prompt and its target answer."""

    task: str
    study_id: str
    prompt: str
    """The user's text; the processor's chat template goes around it."""
    answer: str
    canvas: int | None = None
    """Number of its image in the pack."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ExampleFolder:
    """Examples and the images that they share."""

    train: Sequence[Example]
    val: Sequence[Example]
    about: Mapping[str, Any]
    """What they were made from: prompt version, index fingerprint, encoder, configuration."""
    canvas_data: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    canvas_ends: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def canvas(self, number: int) -> Image.Image:
        """An image of the pack, RGB."""
        start = 0 if number == 0 else int(self.canvas_ends[number - 1])
        file = self.canvas_data[start : int(self.canvas_ends[number])].tobytes()
        return Image.open(io.BytesIO(file)).convert("RGB")

    @property
    def canvases(self) -> int:
        return len(self.canvas_ends)

    def save(self, directory: Path) -> None:
        """Write beside, then rename. Raises UserError where something else stands there."""
        if directory.exists() and not (directory / "pack.json").is_file():
            raise UserError(
                f"{directory} exists and is not an examples folder: name another folder"
            )
        with replacing_directory(directory) as fresh:
            for name, examples in (("train", self.train), ("val", self.val)):
                with (fresh / f"{name}.jsonl").open("w", encoding="utf-8") as stream:
                    for example in examples:
                        stream.write(json.dumps(asdict(example)) + "\n")
            with (fresh / "canvases.npz").open("wb") as file:
                np.savez(file, data=self.canvas_data, ends=self.canvas_ends)
            write_json(fresh / "pack.json", {**self.about, "data_sha256": _digest(fresh)})

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises NotFoundError where there is none, UserError for one that is not whole."""
        if not (directory / "pack.json").is_file():
            raise NotFoundError(
                f"{directory} is not an examples folder: create one with finetune examples"
            )
        try:
            about = parse_json((directory / "pack.json").read_text(encoding="utf-8"))
            whole = about["data_sha256"] == _digest(directory)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{directory} cannot be read: create the examples again") from error
        if not whole:
            raise UserError(
                f"{directory} was changed since it was written: create the examples again"
            )
        try:
            with np.load(directory / "canvases.npz", allow_pickle=False) as arrays:
                data, ends = arrays["data"], arrays["ends"]
            train, val = (_read(directory / f"{name}.jsonl") for name in ("train", "val"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{directory} cannot be read: create the examples again") from error
        return cls(train=train, val=val, about=about, canvas_data=data, canvas_ends=ends)


def encode_canvas(image: Image.Image) -> bytes:
    """Encode a canvas as it is stored."""
    buffer = io.BytesIO()
    image.convert("L").save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _read(path: Path) -> list[Example]:
    with path.open(encoding="utf-8") as stream:
        return [Example(**parse_json(line)) for line in stream]


def _digest(directory: Path) -> str:
    """Of everything a model is trained on: the examples and their images."""
    digest = hashlib.sha256()
    for name in ("train.jsonl", "val.jsonl", "canvases.npz"):
        digest.update(hashlib.sha256((directory / name).read_bytes()).digest())
    return digest.hexdigest()
