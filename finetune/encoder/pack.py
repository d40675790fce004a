"""The training data of the encoder in one file.

    pack = Pack.load(path)                  # a machine with a GPU needs this file alone

A pack holds small images, sentence embeddings, labels, indexing terms and text similarities. It
holds no report text, and nothing at all of a test study. What it holds of val studies is for
selection only.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from db.errors import NotFoundError, UserError
from db.files import replacing
from finetune.encoder.labelled.images import LabelledImages
from finetune.encoder.projections.sentences import Sentences
from finetune.encoder.stored_images import decode_images

TRAIN, VAL, UNLISTED = range(3)
"""Splits of a pack: UNLISTED studies stand in no list of the split file and may be trained on."""

POSITIVE, NEGATIVE, UNCERTAIN, UNMENTIONED = 1, 0, 2, -1


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
    labelled: LabelledImages | None = None
    """Further images, with labels and no report."""
    sentences: Sentences | None = None
    """The sentences of the reports, for the projection of texts."""

    def save(self, path: Path) -> None:
        values = {name: getattr(self, name) for name in _names(Pack) if name not in _PARTS}
        for part, kind in _PARTS.items():
            if (stored := getattr(self, part)) is not None:
                values |= {f"{part}.{name}": getattr(stored, name) for name in _names(kind)}
        with replacing(path) as fresh, fresh.open("wb") as stream:
            np.savez_compressed(stream, **values)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises NotFoundError without the file and UserError for another kind of file."""
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: make it with 'finetune encoder --pack'")
        try:
            with np.load(path, allow_pickle=False) as stored:
                values = {name: stored[name] for name in _names(cls) if name not in _PARTS}
                parts = {part: _part(stored, part) for part in _PARTS}
        except (ValueError, KeyError, OSError) as error:
            raise UserError(f"{path} is no pack ({error}): make it again with --pack") from error
        values["labeller_version"] = str(values["labeller_version"])
        return cls(**values, **parts)

    def folds(self, count: int) -> npt.NDArray[np.int64]:
        """The fold of each study, 0 to ``count`` - 1; equal studies, equal folds."""
        numbers = [zlib.crc32(study_id.encode()) for study_id in self.study_ids.tolist()]
        return np.array(numbers, np.int64) // 7 % count

    @cached_property
    def images(self) -> npt.NDArray[np.uint8]:
        """All images at full size, decoded once: (f, 256, 256)."""
        return decode_images(self.image_data, self.image_ends)


_PARTS: dict[str, type[LabelledImages | Sentences]] = {
    "labelled": LabelledImages,
    "sentences": Sentences,
}
"""Fields that are data classes of their own, and may be absent."""


def _names(kind: type[Pack | LabelledImages | Sentences]) -> list[str]:
    return [field.name for field in fields(kind)]


def _part(stored: Mapping[str, Any], part: str) -> Any:
    kind = _PARTS[part]
    if not any(f"{part}.{name}" in stored for name in _names(kind)):
        return None
    return kind(**{name: stored[f"{part}.{name}"] for name in _names(kind)})
