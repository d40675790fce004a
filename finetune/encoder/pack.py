"""The training data of the encoder in one file.

    pack = Pack.load(path)                  # a machine with a GPU needs this file alone

A pack holds small images, sentence embeddings, labels, indexing terms and text similarities. It
holds no report text, and nothing at all of a test study. What it holds of val studies is for
selection only.
"""

import io
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.errors import NotFoundError, UserError
from db.files import replacing

IMAGE_SIZE = 256
TRAIN, VAL, UNLISTED, LABELS_ONLY = range(4)
"""Splits of a pack: UNLISTED studies stand in no list of the split file and may be trained on;
LABELS_ONLY images come without a report."""

POSITIVE, NEGATIVE, UNCERTAIN, UNMENTIONED, UNKNOWN = 1, 0, 2, -1, -2


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """n studies with f images between them."""

    image_data: npt.NDArray[np.uint8]
    """The images as image files, one after the other."""
    image_ends: npt.NDArray[np.int64]  # (f,)
    image_study: npt.NDArray[np.int32]  # (f,), row of the study
    image_frontal: npt.NDArray[np.uint8]  # (f,), 1 frontal, 0 lateral
    study_ids: npt.NDArray[np.str_]  # (n,)
    split: npt.NDArray[np.uint8]  # (n,)
    texts: npt.NDArray[np.float16]  # (n, 3, 384)
    """Embeddings of the whole report, of its impression, and of its indexing terms; 0 if absent."""
    labels: npt.NDArray[np.int8]  # (n, 14)
    terms: npt.NDArray[np.uint8]  # (n, t), indexing terms as 0 or 1
    term_names: npt.NDArray[np.str_]  # (t,)
    similarity: npt.NDArray[np.uint8]  # (n, n)
    """How alike the findings of two studies read, 0 to 255: cosine of their rarity-weighted
    n-grams, as in CIDEr."""
    cider: npt.NDArray[np.float16]  # (v, n)
    """CIDEr of every study's findings as an answer for each val study, in the order of rows."""
    labeller_version: str

    def save(self, path: Path) -> None:
        with replacing(path) as fresh, fresh.open("wb") as stream:
            np.savez_compressed(stream, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises NotFoundError without the file and UserError for another kind of file."""
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: make it with 'finetune encoder --pack'")
        try:
            with np.load(path, allow_pickle=False) as stored:
                values: dict[str, Any] = {f.name: stored[f.name] for f in fields(cls)}
        except (ValueError, KeyError, OSError) as error:
            raise UserError(f"{path} is no pack ({error}): make it again with --pack") from error
        values["labeller_version"] = str(values["labeller_version"])
        return cls(**values)

    def folds(self, count: int) -> npt.NDArray[np.int64]:
        """The fold of each study, 0 to ``count`` - 1; equal studies, equal folds."""
        numbers = [zlib.crc32(study_id.encode()) for study_id in self.study_ids.tolist()]
        return np.array(numbers, np.int64) // 7 % count

    def images(self) -> npt.NDArray[np.uint8]:
        """All images decoded and put in the middle of a black square: (f, 256, 256)."""
        starts = np.concatenate([[0], self.image_ends[:-1]])

        def decode(bounds: tuple[int, int]) -> npt.NDArray[np.uint8]:
            with Image.open(io.BytesIO(self.image_data[slice(*bounds)].tobytes())) as image:
                return letterbox(np.asarray(image.convert("L")))

        with ThreadPoolExecutor() as pool:
            bounds = zip(starts.tolist(), self.image_ends.tolist(), strict=True)
            return np.stack(list(pool.map(decode, bounds)))


def letterbox(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """An image of at most 256 x 256 in the middle of a black square, as open_clip pads it."""
    height, width = image.shape
    square = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    top, left = (IMAGE_SIZE - height) // 2, (IMAGE_SIZE - width) // 2
    square[top : top + height, left : left + width] = image
    return square
