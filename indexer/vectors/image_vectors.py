"""One vector an image, beside the one a study: what tells a copy of an image from a like one.

A case's own vector may hold its report as well (`EncoderSpec.report_weight`), so images are
compared with images here. Rows are in the order of the images: by case id, then position.
"""

from pathlib import Path

import numpy as np

from indexer.vectors.row_files import map_rows

IMAGE_VECTORS = "film_vectors.npy"


def open_image_vectors(directory: Path) -> np.ndarray:
    """(images, dim) float16, mapped from disk.

    Raises NotFoundError for a missing file and UserError for one that is damaged.
    """
    return map_rows(directory / IMAGE_VECTORS)
