"""The thumbnails to which a typicality profile is fitted.

They are stored so that the profile can be fitted again when the index grows or shrinks, without
reading images again. Up to 10,000 are kept: those of the images with the lowest digests, a random
sample that is the same whether an index is built at once or in steps.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import safetensors
import safetensors.numpy

from db.errors import UserError

SAMPLE = "thumbnail_sample.safetensors"

MOST_IMAGES = 10_000
_OUTLINE = 256
_ROWS = ("keys", "case_ids", "positions", "outlines")


@dataclass(frozen=True, kw_only=True, eq=False)
class ThumbnailSample:
    """Thumbnails of some of the images that were read, by case id and position."""

    keys: np.ndarray
    """(n,) uint64: the first 64 bits of the digest of the pixels."""
    case_ids: np.ndarray
    """(n,) int64."""
    positions: np.ndarray
    """(n,) int64: position of the image in its case."""
    outlines: np.ndarray
    """(n, 256) float16, upright; see ``indexer.typicality.profile.outline``."""
    images: int
    """Number of images from which the sample was drawn."""

    @classmethod
    def empty(cls) -> Self:
        return cls.from_images([], [], [], np.zeros((0, _OUTLINE)))

    @classmethod
    def from_images(
        cls,
        digests: Sequence[str],
        case_ids: Sequence[int],
        positions: Sequence[int],
        outlines: np.ndarray,
    ) -> Self:
        """Make a sample from images with these hex digests; ``outlines`` is (n, 256)."""
        sample = cls(
            keys=np.array([int(digest[:16], 16) for digest in digests], dtype=np.uint64),
            case_ids=np.array(case_ids, dtype=np.int64),
            positions=np.array(positions, dtype=np.int64),
            outlines=outlines.astype(np.float16),
            images=len(digests),
        )
        return sample._drawn()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a sample; empty if there is no file.

        Raises UserError if the file is damaged.
        """
        if not path.is_file():
            return cls.empty()
        try:
            return cls.from_arrays(safetensors.numpy.load_file(path))
        except (OSError, KeyError, safetensors.SafetensorError) as error:
            raise UserError(f"{path} is damaged: build the index again") from error

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Make a sample from the result of `arrays`. Raises KeyError if one is missing."""
        older = "film_keys" in arrays  # index formats 1 and 2
        prefix = "film" if older else "image"
        rows = {name: np.asarray(arrays[f"{prefix}_{name}"]) for name in _ROWS}
        return cls(**rows, images=int(arrays[f"{prefix}_count"]))

    def write(self, path: Path) -> None:
        path.write_bytes(safetensors.numpy.save(self.arrays()))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays, with names that can share a file with others."""
        rows = {f"image_{name}": rows for name, rows in self._rows().items()}
        return {**rows, "image_count": np.array(self.images)}

    def _rows(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in _ROWS}

    def merged_with(self, other: "ThumbnailSample") -> "ThumbnailSample":
        """Return the sample of both sets of images together."""
        mine, theirs = self._rows(), other._rows()
        return ThumbnailSample(
            **{name: np.concatenate([mine[name], theirs[name]]) for name in mine},
            images=self.images + other.images,
        )._drawn()

    def without(self, case_ids: Collection[int], *, images: int) -> "ThumbnailSample":
        """Return the sample without these cases, which had ``images`` images."""
        kept = ~np.isin(self.case_ids, list(case_ids))
        return ThumbnailSample(
            **{name: rows[kept] for name, rows in self._rows().items()},
            images=max(self.images - images, int(kept.sum())),
        )

    def shifted(self, shift: int) -> "ThumbnailSample":
        """Return the sample with ``shift`` added to the case ids."""
        arrays = {**self._rows(), "case_ids": self.case_ids + shift}
        return ThumbnailSample(**arrays, images=self.images)

    def _drawn(self) -> Self:
        lowest = np.lexsort((self.positions, self.case_ids, self.keys))[:MOST_IMAGES]
        chosen = lowest[np.lexsort((self.positions[lowest], self.case_ids[lowest]))]
        arrays = {name: rows[chosen] for name, rows in self._rows().items()}
        return type(self)(**arrays, images=self.images)
