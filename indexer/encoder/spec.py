"""What an encoder is: radiographs, and sentences, to unit vectors of one space.

    encoder = load_encoder("pretrained/encoder")    # indexer.encoder.load
    embeddings = encoder.embed_images([image.pixels, ...])
    embeddings.vectors                              # (n, dim), unit length
    encoder.embed_text(["small left pleural effusion"])

This module imports neither torch nor open_clip, so that a manifest is read without them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

DEFAULT_ENCODER = "pretrained/encoder"


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """What has to be equal for two vectors to be comparable; it goes into the manifest."""

    name: str
    weights_sha256: str
    dim: int
    preprocessing: Mapping[str, Any]
    """The fields of ``open_clip.transform.PreprocessCfg``."""
    report_weight: float = 0.0
    """How much of its report is in the vector of a case, see `combine_case`; 0: nothing."""

    def same_space(self, other: "EncoderSpec") -> bool:
        """Whether vectors of both may be compared; names may differ, contents may not."""
        mine, theirs = (
            (spec.weights_sha256, spec.dim, dict(spec.preprocessing), spec.report_weight)
            for spec in (self, other)
        )
        return mine == theirs


@dataclass(frozen=True, kw_only=True)
class ImageEmbeddings:
    """What an encoder computes from n images."""

    vectors: np.ndarray
    """(n, dim) float32, unit length."""
    label_scores: np.ndarray | None = None
    """(n, 14) float32, probabilities in the order of ``db.labels.OBSERVATIONS``, or None where
    the encoder has no label head."""
    frontal: np.ndarray | None = None
    """(n,) float32, probability that the image is a frontal view, or None without a view head."""


class Encoder(Protocol):
    """What the index and the retriever need of an encoder."""

    spec: EncoderSpec

    def embed_images(self, images: Sequence[np.ndarray]) -> ImageEmbeddings:
        """Images are (height, width) uint8 with dark lungs, of any size."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """An encoder that also embeds text."""

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """(n, dim) float32, unit length, in the space of the image vectors."""
        ...


def combine_views(vectors: np.ndarray) -> np.ndarray:
    """One study from its views: the normalised sum. (views, dim) -> (dim,), unit length."""
    total = vectors.astype(np.float64).sum(axis=0)
    length = float(np.linalg.norm(total))
    if length < 1e-6:  # views that cancel out: no direction is better than the first view's
        total, length = vectors[0].astype(np.float64), float(np.linalg.norm(vectors[0]))
    unit: np.ndarray = (total / length).astype(np.float32)
    return unit


def combine_case(views: np.ndarray, report: np.ndarray, report_weight: float) -> np.ndarray:
    """One case from its views and its report: what is indexed where ``report_weight`` is above 0.

    A query has no report and is its views alone. ``views`` (views, dim) and ``report`` (dim,),
    the whole report by ``embed_text``, are of unit length; so is the result.
    """
    return combine_views(np.stack([combine_views(views), report_weight * report]))


def combine_scores(scores: np.ndarray) -> np.ndarray:
    """One study's label scores from its views': the mean of the log-odds, as the label head was
    trained. (views, 14) -> (14,), probabilities."""
    clipped = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    odds = np.log(clipped / (1 - clipped)).mean(axis=0)
    probabilities: np.ndarray = (1 / (1 + np.exp(-odds))).astype(np.float32)
    return probabilities
