"""Turn class activation maps into maps of the image.

    image_map(class_maps, "Pleural Effusion", rows=16, columns=13)     # 0..1, (rows, columns)

A map is made from the image and the observation alone; no sentence is read.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.labels import OBSERVATIONS
from indexer.encoder.spec import ClassMaps

FloatMap = npt.NDArray[np.float32]

CELLS = 16
"""Of a map along the longer side of its image; the encoder's own have half as many."""


def map_shape(height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of the map of an image with this many pixels."""
    longest = max(height, width)
    return max(1, round(CELLS * height / longest)), max(1, round(CELLS * width / longest))


def image_map(class_maps: ClassMaps, observation: str, *, rows: int, columns: int) -> FloatMap:
    """Return how much each part of the image speaks for an observation.

    (rows, columns), from 0 to 1 at the strongest place, in proportion to what a place adds to the
    logit; 0 where it lowers it, and everywhere if no place raises it.
    """
    parts = class_maps.parts[OBSERVATIONS.index(observation)]
    height, width = parts.shape
    left, top, right, bottom = class_maps.box
    box = (left * width, top * height, right * width, bottom * height)
    grid = Image.fromarray(np.ascontiguousarray(parts, np.float32))
    fitted = np.asarray(grid.resize((columns, rows), Image.Resampling.BICUBIC, box=box))
    positive = np.maximum(fitted, 0)
    highest = float(positive.max())
    return positive / highest if highest > 0 else np.zeros((rows, columns), np.float32)
