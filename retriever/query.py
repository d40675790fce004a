"""A search query: the images of one study, a text, or both, as one vector.

query = read_query(encoder, ["pa.dcm", "lateral.dcm"])
query.vector                        # (dim,), unit length
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from db.errors import UserError
from db.labels import FINDINGS, OBSERVATIONS
from indexer.encoder.spec import ClassMaps, Encoder, TextEncoder, combine_scores, combine_views
from indexer.images.contrast import brightness
from indexer.images.radiograph import Limits, as_one_study
from indexer.images.reader import Radiograph, read_pixels, read_radiograph
from retriever.results import View

ImageSource = Path | str | bytes | Radiograph | Image.Image | np.ndarray
"""A path, the bytes of a file, a decoded image, or pixels (height, width[, 3])."""

DEFAULT_THRESHOLD = 0.5
_LEAST_FRONTAL = 0.5
MAX_TEXT = 4_000
"""Maximum characters of a text query; text towers read a few hundred words at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Query:
    """One study to search with, decoded and embedded; a search does not read images again."""

    vector: np.ndarray
    """(dim,) float32, unit length: images and text combined."""
    images: tuple[Radiograph, ...] = ()
    image_vectors: np.ndarray
    """(images, dim) float32, unit length."""
    image_label_scores: np.ndarray | None = None
    """(images, 14) probabilities in the order of ``OBSERVATIONS``; None without a label head."""
    image_frontal: np.ndarray | None = None
    """(images,) probability of a frontal view; None without a view head."""
    image_class_maps: tuple[ClassMaps, ...] | None = None
    """One per image: what its label scores rest on; None where the encoder cannot say."""
    thresholds: Mapping[str, float]
    """Finding to the lowest probability that counts as positive."""

    text: str | None = None
    """The text that was combined with the images, or searched with alone."""

    @property
    def label_scores(self) -> dict[str, float] | None:
        """Observation to probability over all images; None without images or label head."""
        if self.image_label_scores is None or not self.images:
            return None
        scores = combine_scores(self.image_label_scores)
        return dict(zip(OBSERVATIONS, (float(score) for score in scores), strict=True))

    @cached_property
    def views(self) -> tuple[View, ...]:
        """What is known of each image, in the order given."""
        scores, frontal = self.image_label_scores, self.image_frontal
        maps = self.image_class_maps
        return tuple(
            View(
                is_frontal=_is_frontal(image, None if frontal is None else float(frontal[place])),
                label_scores=None
                if scores is None
                else dict(zip(OBSERVATIONS, map(float, scores[place]), strict=True)),
                position=image.view_position,
                size=(image.pixels.shape[1], image.pixels.shape[0]),
                brightness=brightness(image.pixels),
                class_maps=None if maps is None else maps[place],
            )
            for place, image in enumerate(self.images)
        )

    @property
    def image_findings(self) -> frozenset[str] | None:
        """The findings whose score reaches the threshold; None without scores."""
        scores = self.label_scores
        if scores is None:
            return None
        return frozenset(name for name in FINDINGS if scores[name] >= self.thresholds[name])


def read_query(
    encoder: Encoder,
    images: ImageSource | Sequence[ImageSource] = (),
    *,
    text: str | None = None,
    text_weight: float = 0.5,
    limits: Limits | None = None,
) -> Query:
    """Read and embed a query.

    Images and text are fused as ``(1 - text_weight) * images + text_weight * text``, both of unit
    length, and normalised. Raises UserError for neither image nor text, an image that cannot be
    read, or a text where the encoder has no text tower.
    """
    images = views(images)
    words = None if text is None else " ".join(text.split())
    if text is not None and not words:
        raise UserError("the text query is empty: write what a report would say")
    if words is None:
        return image_query(encoder, read_images(images, limits))
    word_vector = embed_texts(encoder, [words])[0]
    if not images:
        none = np.zeros((0, len(word_vector)), np.float32)
        return Query(
            vector=word_vector,
            image_vectors=none,
            thresholds=_thresholds(encoder),
            text=words,
        )
    query = image_query(encoder, read_images(images, limits))
    parts = [(1 - text_weight) * query.vector, text_weight * word_vector]
    return replace(query, vector=combine_views(np.stack(parts)), text=words)


def image_query(encoder: Encoder, images: Sequence[Radiograph]) -> Query:
    """Make a query from the decoded views of one study."""
    return image_queries(encoder, [images])[0]


def image_queries(encoder: Encoder, studies: Sequence[Sequence[Radiograph]]) -> list[Query]:
    """Make queries for several studies at once, which is faster; each needs at least one image."""
    embeddings = encoder.embed_images([image.pixels for images in studies for image in images])
    queries, start = [], 0
    for images in studies:
        rows = slice(start, start + len(images))
        start = rows.stop
        scores, frontal = embeddings.label_scores, embeddings.frontal
        maps = embeddings.class_maps
        queries.append(
            Query(
                vector=combine_views(embeddings.vectors[rows]),
                images=tuple(images),
                image_vectors=embeddings.vectors[rows],
                image_label_scores=None if scores is None else scores[rows],
                image_frontal=None if frontal is None else frontal[rows],
                image_class_maps=None if maps is None else maps[rows],
                thresholds=_thresholds(encoder),
            )
        )
    return queries


def embed_texts(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """Embed texts in the space of the images, (n, dim). Raises UserError without a text tower."""
    if not isinstance(encoder, TextEncoder):
        raise UserError(
            f"encoder '{encoder.spec.name}' has no text tower, so it cannot search by text: "
            "search with an image, or use an index whose encoder was trained on reports"
        )
    for text in texts:
        if len(text) > MAX_TEXT:
            raise UserError(
                f"a text query may have at most {MAX_TEXT:,} characters, not {len(text):,}"
            )
    return encoder.embed_text(texts)


def has_text_tower(encoder: Encoder) -> bool:
    """Return whether `embed_texts` works; an encoder may have the method without a text tower."""
    if not isinstance(encoder, TextEncoder):
        return False
    try:
        encoder.embed_text([])
    except UserError:
        return False
    return True


def views(images: ImageSource | Sequence[ImageSource]) -> Sequence[ImageSource]:
    """Return the views of one study as a sequence, also if a single one is given."""
    return [images] if isinstance(images, ImageSource) else images


def read_images(
    images: ImageSource | Sequence[ImageSource], limits: Limits | None = None
) -> list[Radiograph]:
    """Decode the views of one study.

    Raises UserError for none, for the first bad one, and for images of two patients.
    """
    sources = views(images)
    if not sources:
        raise UserError("no image given: name one or more views of one study, or a text")
    return as_one_study([_read_image(source, limits) for source in sources])


def _read_image(source: ImageSource, limits: Limits | None) -> Radiograph:
    if isinstance(source, Radiograph):
        return source
    if isinstance(source, Image.Image | np.ndarray):
        return read_pixels(source, limits=limits)
    return read_radiograph(source, limits=limits)


def _is_frontal(image: Radiograph, probability: float | None) -> bool | None:
    """The header decides; where it does not say, the encoder's view head does."""
    if image.view_position is not None:
        return image.view_position != "LATERAL"
    return None if probability is None else probability >= _LEAST_FRONTAL


def _thresholds(encoder: Encoder) -> dict[str, float]:
    """Return the encoder's own thresholds, or the default ones."""
    given: Mapping[str, float] = getattr(encoder, "label_thresholds", None) or {}
    return {name: given.get(name, DEFAULT_THRESHOLD) for name in FINDINGS}
