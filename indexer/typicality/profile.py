"""The typicality profile of an index, by which unusual images are recognised.

    profile = fit_profile(image_vectors, outlines, case_ids, index.vectors)
    profile.write(folder / PROFILE)              # profile.quantiles go into the manifest

Three measures describe an image. ``similarity`` is the mean cosine of its vector to the nearest
cases. ``outline`` is the correlation of its 16 x 16 thumbnail with the nearest of several average
thumbnails, independent of the encoder. ``upright`` is the margin by which that correlation exceeds
the one of the same thumbnail rotated or inverted. Quantiles of the measures are computed over the
indexed images, leaving out each image's own study, so thresholds depend on the index alone. Each
average is taken over several images, so no single image can be recovered from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import safetensors
import safetensors.numpy
from PIL import Image

from db.errors import NotFoundError, UserError
from indexer.images.radiograph import Grey

PROFILE = "typicality_profile.safetensors"

NEAREST = 10
"""Number of cases over which ``similarity`` is averaged."""
MEASURES = ("similarity", "outline", "upright")
OLDER_MEASURES = {"likeness": "similarity"}
"""Names of measures in index formats 1 and 2 and in stored vectors, and their current names."""

LEVELS = (0.005, 0.01, 0.02, 0.05, 0.25, 0.5, 0.75)

_SIDE = 16
_PROTOTYPES = 128
_IMAGES_A_PROTOTYPE = 12
_LEAST_CLUSTER = 4
_LEAST_IMAGES = 100
_LEAST_CONTRAST = 8.0  # standard deviation in grey levels; less is noise on a blank image
_TURNS = 5  # upright, three quarter turns, inverted

Quantiles = Mapping[str, Mapping[str, float]]
"""Measure, or ``typicality`` for their combination, to level (as text) to value."""


class CaseVectors(Protocol):
    """The part of `indexer.vectors.store.VectorStore` that is needed to fit a profile."""

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class TypicalityProfile:
    """Average thumbnails of the indexed images, and quantiles of their measures."""

    prototypes: np.ndarray
    """(p, 256) float32, mean 0 and unit length."""
    quantiles: Quantiles

    @classmethod
    def read(cls, path: Path, quantiles: Quantiles | None) -> Self | None:
        """Read a profile; its quantiles come from the manifest. None if there are none."""
        if quantiles is None:
            return None
        quantiles = {OLDER_MEASURES.get(name, name): levels for name, levels in quantiles.items()}
        try:
            prototypes = safetensors.numpy.load_file(path)["prototypes"].astype(np.float32)
        except FileNotFoundError as error:
            raise NotFoundError(f"{path} is missing: build the index again") from error
        except (OSError, KeyError, safetensors.SafetensorError) as error:
            raise UserError(f"{path} is damaged: build the index again") from error
        if prototypes.ndim != 2 or prototypes.shape[1] != _SIDE * _SIDE:
            raise UserError(f"{path} holds shape {prototypes.shape}: build the index again")
        return cls(prototypes=prototypes, quantiles=quantiles)

    def write(self, path: Path) -> None:
        content = safetensors.numpy.save({"prototypes": self.prototypes.astype(np.float16)})
        path.write_bytes(content)

    def measure(self, outlines: np.ndarray, similarity: np.ndarray) -> np.ndarray:
        """Compute the three measures (n, 3) from `outline` (n, 5, 256) and similarity (n,)."""
        return _measure(self.prototypes, outlines, similarity)

    def typicality(self, measures: np.ndarray) -> np.ndarray:
        """Combine measures into one number per image, (n,): 0 is typical, lower is unusual.

        It is the mean of the measures, each relative to its median, in units of the distance from
        the median to the 5 % quantile.
        """
        return _typicality(measures, self.quantiles)


def outline(pixels: Grey) -> np.ndarray:
    """Compute the thumbnail upright, in three quarter turns and inverted: (5, 256) float32.

    Each has mean 0 and unit length, or less for very low contrast.
    """
    small = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    plain = np.asarray(small, dtype=np.float32)
    plain = plain - plain.mean()
    plain /= max(float(np.linalg.norm(plain)), _LEAST_CONTRAST * _SIDE)
    versions: np.ndarray = add_turns(plain.reshape(1, -1))[0]
    return versions


def add_turns(upright: np.ndarray) -> np.ndarray:
    """Add the turned and inverted versions to upright outlines: (n, 256) to (n, 5, 256)."""
    plain = upright.reshape(-1, _SIDE, _SIDE)
    versions = [*(np.rot90(plain, turns, axes=(1, 2)) for turns in range(4)), -plain]
    return np.stack([version.reshape(len(plain), -1) for version in versions], axis=1)


def fit_profile(
    vectors: np.ndarray, outlines: np.ndarray, case_ids: np.ndarray, cases: CaseVectors
) -> TypicalityProfile | None:
    """Fit the profile of indexed images; None if there are too few of them.

    ``vectors`` (images, dim), ``outlines`` (images, 5, 256) and ``case_ids`` (images,) belong
    together; ``cases`` holds all indexed cases.
    """
    if len(vectors) < _LEAST_IMAGES:
        return None
    similarity = _leave_one_out(vectors, case_ids, cases)
    # Compare outlines with the averages of the other half of the studies.
    half = np.unique(case_ids, return_inverse=True)[1] % 2
    measures = np.zeros((len(vectors), len(MEASURES)))
    for side in (0, 1):
        prototypes = _average_outlines(outlines[half != side, 0])
        measures[half == side] = _measure(
            prototypes, outlines[half == side], similarity[half == side]
        )
    quantiles: dict[str, Mapping[str, float]] = {
        name: _levels(measures[:, column]) for column, name in enumerate(MEASURES)
    }
    quantiles["typicality"] = _levels(_typicality(measures, quantiles))
    return TypicalityProfile(prototypes=_average_outlines(outlines[:, 0]), quantiles=quantiles)


def _leave_one_out(vectors: np.ndarray, case_ids: np.ndarray, cases: CaseVectors) -> np.ndarray:
    ids, scores = cases.search_many(vectors, NEAREST + 1)
    scores = np.where(ids == case_ids[:, None], -np.inf, scores)
    nearest = min(NEAREST, scores.shape[1] - 1)
    means: np.ndarray = -np.partition(-scores, nearest - 1, axis=1)[:, :nearest].mean(axis=1)
    return means


def _average_outlines(outlines: np.ndarray) -> np.ndarray:
    """Cluster by spherical k-means (Dhillon and Modha, 2001), seeded; drop small clusters."""
    count = max(1, min(_PROTOTYPES, len(outlines) // _IMAGES_A_PROTOTYPE))
    chosen = np.random.default_rng(0).choice(len(outlines), count, replace=False)
    means = outlines[chosen].astype(np.float32)
    for _ in range(20):
        member = (outlines @ means.T).argmax(axis=1)
        sums = np.stack([outlines[member == place].sum(axis=0) for place in range(count)])
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        means = np.where(lengths > 0, sums / np.maximum(lengths, 1e-9), means)
    sizes = np.bincount((outlines @ means.T).argmax(axis=1), minlength=count)
    kept: np.ndarray = means[sizes >= min(_LEAST_CLUSTER, sizes.max())]
    return kept


def _measure(prototypes: np.ndarray, outlines: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    fits = (outlines @ prototypes.T).max(axis=2)  # (n, 5)
    upright = fits[:, 0] - fits[:, 1:].max(axis=1)
    return np.stack([similarity, fits[:, 0], upright], axis=1)


def _typicality(measures: np.ndarray, quantiles: Quantiles) -> np.ndarray:
    total = np.zeros(len(measures))
    for column, name in enumerate(MEASURES):
        middle, low = quantiles[name]["0.5"], quantiles[name]["0.05"]
        total += (measures[:, column] - middle) / max(middle - low, 1e-6)
    return total / len(MEASURES)


def _levels(values: np.ndarray) -> dict[str, float]:
    return {f"{level:g}": float(np.quantile(values, level)) for level in LEVELS}


def outlines_of(images: Sequence[Grey]) -> np.ndarray:
    """Compute `outline` of each image: (n, 5, 256)."""
    if not images:
        return np.zeros((0, _TURNS, _SIDE * _SIDE), np.float32)
    return np.stack([outline(image) for image in images])
