"""Detect queries that are out of distribution: unlike the upright, whole images of the index.

ood = check_ood(query, index, profile)
ood.in_distribution, ood.reason

An image unlike anything in the index still has nearest cases, but their reports do not apply to it.
The threshold is the `THRESHOLD_LEVEL` quantile of the indexed images, leaving out each image's own
study. An image in several colours or without any detail is flagged whatever the index holds.
"""

import numpy as np
from PIL import Image

from db.app.generation import OodCheck
from indexer.images.deep_grey import MANY_COLOURS
from indexer.images.radiograph import Grey, Radiograph
from indexer.index import Index
from indexer.typicality.profile import MEASURES, NEAREST, TypicalityProfile, outlines_of
from retriever.query import Query

THRESHOLD_LEVEL = "0.01"
_BOTH_UNUSUAL = {"similarity": "0.005", "outline": "0.25"}
"""An image below both levels is flagged whatever the third measure says: a scout of the abdomen is
upright too."""
_LEAST_DETAIL = 0.035
"""Roughness of a radiograph; the least of 511 images of five collections is 0.050, that of drawn
colour gradients at most 0.024, or 0.057 where two colours run against each other."""
_DETAIL_SIDE = 128
_UNLIKE_ANY = -10.0
"""Score of an image that no radiograph looks like; typicality is rarely below -4."""

_REASONS = {
    "similarity": "its embedding is unlike those of the indexed images",
    "outline": "its outline is unlike those of the indexed images",
    "colours": "it has several colours",
    "detail": "it has no detail, as a drawn gradient",
    "upright": "it would match the indexed images better if rotated or inverted",
}


def check_ood(query: Query, index: Index, profile: TypicalityProfile | None) -> OodCheck | None:
    """Check the images of a query; None without images, or if nothing can be said.

    Without a profile only images that no radiograph looks like are recognised.
    """
    if not query.images:
        return None
    for place, image in enumerate(query.images):
        reason = _unlike_any(image)
        if reason is not None:
            return OodCheck(
                in_distribution=False,
                score=_UNLIKE_ANY,
                threshold=0.0 if profile is None else _threshold(profile),
                reason=_sentence(query, place, _REASONS[reason]),
            )
    if profile is None:
        return None
    measures = measure_images(query, index, profile)
    threshold = _threshold(profile)
    scores = profile.typicality(measures)
    unusual = np.all(
        [
            measures[:, MEASURES.index(name)] < profile.quantiles[name][level]
            for name, level in _BOTH_UNUSUAL.items()
        ],
        axis=0,
    )
    scores = np.where(unusual, np.minimum(scores, np.nextafter(threshold, -np.inf)), scores)
    worst = int(scores.argmin())
    score = float(scores[worst])
    if score >= threshold:
        reason = "every image is similar to those in the index"
    else:
        reason = _sentence(query, worst, _most_unusual(measures[worst], profile))
    return OodCheck(
        in_distribution=score >= threshold, score=score, threshold=threshold, reason=reason
    )


def _threshold(profile: TypicalityProfile) -> float:
    return profile.quantiles["typicality"][THRESHOLD_LEVEL]


def _sentence(query: Query, place: int, unusual: str) -> str:
    which = f"image {place + 1}" if len(query.images) > 1 else "the image"
    return f"{which} may not be an upright, whole chest image: {unusual}"


def _unlike_any(image: Radiograph) -> str | None:
    if MANY_COLOURS in image.notes:
        return "colours"
    return "detail" if roughness(image.pixels) < _LEAST_DETAIL else None


def roughness(pixels: Grey) -> float:
    """Return the mean absolute Laplacian of a thumbnail in units of its standard deviation."""
    side = (_DETAIL_SIDE, _DETAIL_SIDE)
    small = np.asarray(Image.fromarray(pixels).resize(side, Image.Resampling.BOX), np.float64)
    inner = 4 * small[1:-1, 1:-1] - small[:-2, 1:-1] - small[2:, 1:-1]
    laplacian = inner - small[1:-1, :-2] - small[1:-1, 2:]
    return float(np.abs(laplacian).mean() / max(small.std(), 1.0))


def measure_images(query: Query, index: Index, profile: TypicalityProfile) -> np.ndarray:
    """Measure each image: (images, 3), see ``indexer.typicality.profile``."""
    similarity = [index.vectors.search(vector, NEAREST)[1].mean() for vector in query.image_vectors]
    outlines = outlines_of([image.pixels for image in query.images])
    return profile.measure(outlines, np.array(similarity))


def _most_unusual(measures: np.ndarray, profile: TypicalityProfile) -> str:
    _, outline, upright = measures
    if upright < 0 and outline - upright >= profile.quantiles["outline"]["0.05"]:
        return _REASONS["upright"]
    distances = {}
    for value, name in zip(measures, MEASURES, strict=True):
        middle, low = profile.quantiles[name]["0.5"], profile.quantiles[name]["0.05"]
        distances[name] = (float(value) - middle) / max(middle - low, 1e-6)
    return _REASONS[min(distances, key=lambda name: distances[name])]
