"""One vector a film, beside the one a study: what tells a copy of a film from a like one.

A case's own vector may hold its report as well (`EncoderSpec.report_weight`), so films are compared
with films here. Rows are in the order of the images: by case id, then position.
"""

from pathlib import Path

import numpy as np

from db.errors import NotFoundError, UserError

FILM_VECTORS = "film_vectors.npy"


def write_film_vectors(index_dir: Path, vectors: np.ndarray) -> None:
    """Write (images, dim) as float16."""
    with (index_dir / FILM_VECTORS).open("wb") as stream:
        np.save(stream, vectors.astype(np.float16), allow_pickle=False)


def open_film_vectors(index_dir: Path) -> np.ndarray:
    """(images, dim) float16, mapped from disk.

    Raises NotFoundError for a missing file and UserError for one that is damaged.
    """
    path = index_dir / FILM_VECTORS
    try:
        vectors: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} does not exist: build the index again") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged: build the index again") from error
    return vectors
