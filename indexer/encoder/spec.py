"""The interface of encoders, which turn radiographs and sentences into unit vectors.

    encoder = load_encoder("pretrained/encoder")    # indexer.encoder.load
    embeddings = encoder.embed_images([image.pixels, ...])
    embeddings.vectors                              # (n, dim), unit length
    encoder.embed_text(["small left pleural effusion"])

This module imports neither torch nor open_clip, so that manifests can be read without them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

DEFAULT_ENCODER = "pretrained/encoder"


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """What must be equal for vectors to be comparable; part of the manifest."""

    name: str
    weights_sha256: str
    dim: int
    preprocessing: Mapping[str, Any]
    """The fields of ``open_clip.transform.PreprocessCfg``."""
    report_weight: float = 0.0
    """Weight of the report in the vector of a case, see `combine_case`; 0 for none."""

    def same_space(self, other: "EncoderSpec") -> bool:
        """Return whether vectors of both can be compared; names may differ."""
        mine, theirs = (
            (spec.weights_sha256, spec.dim, dict(spec.preprocessing), spec.report_weight)
            for spec in (self, other)
        )
        return mine == theirs


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassMaps:
    """Class activation maps of one image: what each score of the label head rests on.

    The head is linear, so its weights can be applied at every place of the last feature map, and
    the mean over the places and the head's bias add up to the logit of the observation (Zhou et
    al., CVPR 2016, arXiv 1512.04150).
    """

    parts: np.ndarray
    """(14, rows, columns) float32, in the order of ``db.labels.OBSERVATIONS``: above 0 where a
    place raises the score, below where it lowers it."""
    box: tuple[float, float, float, float]
    """Where the image lies in the map: left, top, right, bottom, in parts of the map's sides. The
    rest is the border that the encoder was shown."""


@dataclass(frozen=True, kw_only=True)
class ImageEmbeddings:
    """What an encoder computes from n images."""

    vectors: np.ndarray
    """(n, dim) float32, unit length."""
    label_scores: np.ndarray | None = None
    """(n, 14) float32, probabilities in the order of ``db.labels.OBSERVATIONS``; None without a
    label head."""
    frontal: np.ndarray | None = None
    """(n,) float32, probability of a frontal view; None without a view head."""
    extra_scores: np.ndarray | None = None
    """(n, 5) float32, probabilities in the order of ``db.labels.EXTRA_FINDINGS``; None without a
    head for them."""
    class_maps: tuple[ClassMaps, ...] | None = None
    """One per image; None without a label head, or with one that reads no feature map."""


class Encoder(Protocol):
    """What the index and the retriever need of an encoder."""

    spec: EncoderSpec

    def embed_images(self, images: Sequence[np.ndarray]) -> ImageEmbeddings:
        """Embed images (height, width) uint8 with dark lungs, of any size."""
        ...


@runtime_checkable
class FittingEncoder(Protocol):
    """An encoder whose images can be fitted elsewhere, and embedded while others are prepared."""

    spec: EncoderSpec

    @property
    def fit(self) -> Callable[[np.ndarray], np.ndarray]:
        """Brings an image (height, width) uint8 to the size that the network sees, also uint8; it
        can be sent to another process."""
        ...

    def start(self, fitted: np.ndarray) -> Callable[[], np.ndarray]:
        """Start to embed fitted images (n, height, width) uint8; call the result for the vectors,
        (n, dim) float32. They are those of `Encoder.embed_images`, on the CPU to the last bit."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """An encoder that also embeds text."""

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts in the space of the images: (n, dim) float32, unit length."""
        ...


def combine_views(vectors: np.ndarray) -> np.ndarray:
    """Combine the views of a study into their normalised sum: (views, dim) to (dim,)."""
    total = vectors.astype(np.float64).sum(axis=0)
    length = float(np.linalg.norm(total))
    if length < 1e-6:  # the views cancel out: use the first one
        total, length = vectors[0].astype(np.float64), float(np.linalg.norm(vectors[0]))
    unit: np.ndarray = (total / length).astype(np.float32)
    return unit


def combine_case(views: np.ndarray, report: np.ndarray, report_weight: float) -> np.ndarray:
    """Combine the views and the report of a case, as indexed if ``report_weight`` is above 0.

    A query has no report and consists of its views alone. ``views`` (views, dim) and ``report``
    (dim,), the whole report by ``embed_text``, are of unit length; so is the result.
    """
    return combine_views(np.stack([combine_views(views), report_weight * report]))


def combine_scores(scores: np.ndarray) -> np.ndarray:
    """Combine the label scores of views by the mean of their log-odds, as in training:
    (views, 14) to (14,), probabilities."""
    clipped = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    odds = np.log(clipped / (1 - clipped)).mean(axis=0)
    probabilities: np.ndarray = (1 / (1 + np.exp(-odds))).astype(np.float32)
    return probabilities
