"""All views of one study side by side on one canvas, because a prompt takes one image.

image = study_canvas([frontal.pixels, lateral.pixels], side=224)      # 448 x 224, RGB
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from db.errors import UserError
from indexer.images.radiograph import Radiograph

MAX_VIEWS = 4
"""The most tiles of a Llama 3.2 Vision image."""


def study_canvas(radiographs: Sequence[np.ndarray], side: int) -> Image.Image:
    """Draw one square tile of ``side`` pixels per view, in the order given.

    Views are (height, width) uint8 and keep their aspect ratio on black. Views beyond `MAX_VIEWS`
    are dropped. Raises UserError without any view.
    """
    if not radiographs:
        raise UserError("no image given: name one or more views of one study")
    shown = radiographs[:MAX_VIEWS]
    image = Image.new("L", (side * len(shown), side))
    for place, radiograph in enumerate(shown):
        image.paste(_tile(radiograph, side), (side * place, 0))
    return image.convert("RGB")


def frontal_first(images: Sequence[Radiograph]) -> list[Radiograph]:
    """Put frontal views before lateral ones, otherwise as given: the order on a canvas."""
    return sorted(images, key=lambda image: image.view_position == "LATERAL")


def _tile(image: np.ndarray, side: int) -> Image.Image:
    height, width = image.shape
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    tile = Image.new("L", (side, side))
    resized = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    tile.paste(resized, ((side - size[0]) // 2, (side - size[1]) // 2))
    return tile
