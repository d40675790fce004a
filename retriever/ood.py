"""Detect queries that are out of distribution: unlike the upright, whole images of the index.

ood = check_ood(query, index, profile)
ood.in_distribution, ood.reason

An image unlike anything in the index still has nearest cases, but their reports do not apply to it.
The threshold is the `THRESHOLD_LEVEL` quantile of the indexed images, leaving out each image's own
study.
"""

import numpy as np

from db.app.generation import OodCheck
from indexer.index import Index
from indexer.typicality.profile import MEASURES, NEAREST, TypicalityProfile, outlines_of
from retriever.query import Query

THRESHOLD_LEVEL = "0.01"

_REASONS = {
    "similarity": "its embedding is unlike those of the indexed images",
    "outline": "its outline is unlike those of the indexed images",
    "upright": "it would match the indexed images better if rotated or inverted",
}


def check_ood(query: Query, index: Index, profile: TypicalityProfile | None) -> OodCheck | None:
    """Check the images of a query; None without images, or if the index has no profile."""
    if profile is None or not query.images:
        return None
    measures = measure_images(query, index, profile)
    scores = profile.typicality(measures)
    worst = int(scores.argmin())
    score = float(scores[worst])
    threshold = profile.quantiles["typicality"][THRESHOLD_LEVEL]
    if score >= threshold:
        reason = "every image is similar to those in the index"
    else:
        which = f"image {worst + 1}" if len(query.images) > 1 else "the image"
        unusual = _most_unusual(measures[worst], profile)
        reason = f"{which} may not be an upright, whole chest image: {unusual}"
    return OodCheck(
        in_distribution=score >= threshold, score=score, threshold=threshold, reason=reason
    )


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
