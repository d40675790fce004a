"""Find the regions that the scores of a study rest on.

    find_regions(retrieval.views)               # one per image and observation

The outline is where a map reaches half its highest value, the usual cut of a class activation map.
"""

from collections.abc import Collection, Sequence

import contourpy
import numpy as np

from db.app.generation import Polygon, ScoreRegion
from db.errors import MismatchError
from db.labels import OBSERVATIONS
from generator.localization.maps import FloatMap, image_map, map_shape
from indexer.encoder.spec import Encoder
from indexer.images.radiograph import Radiograph
from retriever.query import image_query
from retriever.results import View

LEVEL = 0.5
"""Of the highest value of a map."""

_LEAST_AREA = 1.0
"""Of a region, in cells of a map: a smaller one is a corner that a resampling left over."""


def find_regions(views: Sequence[View]) -> tuple[ScoreRegion, ...]:
    """Return one region per image and observation; none for an image without class maps."""
    return tuple(
        region_of(view, observation, number)
        for number, view in enumerate(views, start=1)
        if view.class_maps is not None and view.size is not None and view.label_scores is not None
        for observation in OBSERVATIONS
    )


def regions_in(
    encoder: Encoder, image: Radiograph, observations: Collection[str]
) -> tuple[ScoreRegion, ...]:
    """Return the regions of some observations in one image.

    Raises MismatchError for an encoder without a label head that reads a feature map.
    """
    (view,) = image_query(encoder, [image]).views
    if view.class_maps is None:
        raise MismatchError(
            f"the encoder '{encoder.spec.name}' cannot say what its scores rest on: use an index "
            "of an encoder with a label head, such as pretrained/encoder"
        )
    return tuple(region_of(view, name, 1) for name in OBSERVATIONS if name in observations)


def region_of(view: View, observation: str, number: int) -> ScoreRegion:
    """Return the region of one observation in an image that has class maps."""
    assert view.class_maps is not None and view.size is not None and view.label_scores is not None
    width, height = view.size
    rows, columns = map_shape(height, width)
    found = image_map(view.class_maps, observation, rows=rows, columns=columns)
    return ScoreRegion(
        image=number,
        observation=observation,
        score=round(float(view.label_scores[observation]), 4),
        width=width,
        height=height,
        polygons=outlines(found, width, height),
        map=tuple(tuple(int(cell) for cell in row) for row in np.rint(100 * found)),
    )


def outlines(found: FloatMap, width: int, height: int) -> tuple[Polygon, ...]:
    """Outline where a map reaches `LEVEL`, in pixels of an image of this size, largest first."""
    rows, columns = found.shape
    if not found.any():
        return ()
    framed = np.pad(found, 1)  # closes the outlines at the edges of the image
    polygons = []
    for line in contourpy.contour_generator(z=framed).lines(LEVEL):
        corners = np.asarray(line)[:-1] - 0.5  # the first is repeated; values are at cell centres
        area = _area(corners)
        if area >= _LEAST_AREA:  # a hole's is negative
            polygons.append((area, np.clip(corners / (columns, rows), 0, 1)))
    polygons.sort(key=lambda one: -one[0])
    return tuple(
        tuple((round(float(x) * width, 1), round(float(y) * height, 1)) for x, y in corners)
        for _, corners in polygons
    )


def _area(corners: np.ndarray) -> float:
    """The area inside a polygon (corners, 2), by the shoelace formula; negative for a hole, whose
    corners `contourpy` gives in the opposite order."""
    x, y = corners.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
