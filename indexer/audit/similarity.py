"""Compare images with one another: near-identical pairs by thumbnail, and measures of similarity.

Two images are near-identical if their 16 x 16 thumbnails correlate above .99, which finds an image
that was re-encoded, resized or changed in brightness, but not a crop. In Open-I (7,426 images) this
finds, besides the three identical pairs, one pair: two captures of one exposure.

The rule looks at pixels alone, so that a data set can be audited without an encoder. The near
duplicates that a search leaves out are found by another rule, from embeddings and difference
hashes: see `retriever.near_duplicates`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.audit.collect import file_name
from indexer.audit.scratch import ScratchDatabase
from indexer.encoder.spec import Encoder
from indexer.images.radiograph import Limits
from indexer.images.reader import read_radiograph, restore_size

NEAR_IDENTICAL = 0.99
MOST_PAIRS = 100_000
"""Pairs to list at most; more only occur where one image is repeated many times."""
MOST_EMBEDDED = 10_000
"""Images to embed at most; a fixed sample if there are more."""

_ROWS = 2048
_BATCH = 32
_NEAREST = 10
_SHORTEST = 128.0  # norm of a thumbnail with a deviation of 8 grey levels; less is noise


@dataclass(frozen=True, kw_only=True)
class NearIdenticalPair:
    """The ids of two images, the lower one first."""

    one: int
    other: int


def compare_thumbnails(scratch: ScratchDatabase) -> list[NearIdenticalPair]:
    """Find near-identical pairs and set ``outline`` of every image, 2,048 images at a time."""
    ids, studies, thumbnails = scratch.thumbnails()
    best = np.full(len(ids), -1.0, dtype=np.float32)
    pairs: list[NearIdenticalPair] = []
    for start in range(0, len(ids), _ROWS):
        rows = slice(start, start + _ROWS)
        left = _unit(thumbnails[rows])
        for other in range(start, len(ids), _ROWS):
            columns = slice(other, other + _ROWS)
            similarity = left @ _unit(thumbnails[columns]).T
            for i, j in np.argwhere(similarity > NEAR_IDENTICAL) + np.array([start, other]):
                if i < j and len(pairs) < MOST_PAIRS:
                    pairs.append(NearIdenticalPair(one=int(ids[i]), other=int(ids[j])))
            similarity[studies[rows, None] == studies[None, columns]] = -1.0
            best[rows] = np.maximum(best[rows], similarity.max(axis=1))
            best[columns] = np.maximum(best[columns], similarity.max(axis=0))
    scratch.set_images("outline", ids, best)
    return pairs


def compare_vectors(scratch: ScratchDatabase, encoder: Encoder, limits: Limits) -> int:
    """Set ``similarity`` and, with a view head, ``frontality``. Return the number of images
    embedded."""
    rows = list(
        scratch.rows(
            "SELECT id, study, path, width, height FROM images "
            "WHERE side = 'audited' AND file NOT NULL ORDER BY pixels, id LIMIT ?",
            MOST_EMBEDDED,
        )
    )
    if not rows:
        return 0
    vectors, frontal = [], []
    for start in range(0, len(rows), _BATCH):
        images = [
            restore_size(read_radiograph(path, limits=limits).pixels, width, height)
            for _, _, path, width, height in rows[start : start + _BATCH]
        ]
        embeddings = encoder.embed_images(images)
        vectors.append(embeddings.vectors)
        if embeddings.frontal is not None:
            frontal.append(embeddings.frontal)
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    studies = np.array([row[1] for row in rows], dtype=np.int64)
    scratch.set_images("similarity", ids, _similarity(np.concatenate(vectors), studies))
    if frontal:
        scratch.set_images("frontality", ids, np.concatenate(frontal))
    return len(rows)


def _similarity(vectors: np.ndarray, studies: np.ndarray) -> np.ndarray:
    """Return the mean cosine to the nearest images of other studies, (n,)."""
    nearest = max(1, min(_NEAREST, len(np.unique(studies)) - 1))
    means = np.zeros(len(vectors))
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        cosines = vectors[rows] @ vectors.T
        cosines[studies[rows, None] == studies[None]] = -1.0
        means[rows] = np.partition(cosines, -nearest, axis=1)[:, -nearest:].mean(axis=1)
    return means


def _unit(thumbnails: np.ndarray) -> np.ndarray:
    """Scale to mean 0 and unit length, or shorter for very low contrast: (n, 256) float32."""
    centred = thumbnails.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    unit: np.ndarray = centred / np.maximum(
        np.linalg.norm(centred, axis=1, keepdims=True), _SHORTEST
    )
    return unit


def with_different_pixels(
    scratch: ScratchDatabase, pairs: Iterable[NearIdenticalPair]
) -> list[NearIdenticalPair]:
    """Drop pairs with identical pixels, which are counted separately."""
    return [pair for pair in pairs if len(set(_of_pair(scratch, pair, "f.pixels"))) == 2]


def splits_of(scratch: ScratchDatabase, pair: NearIdenticalPair) -> tuple[str | None, str | None]:
    return _of_pair(scratch, pair, "s.split")


def sides_of(scratch: ScratchDatabase, pair: NearIdenticalPair) -> tuple[str, str]:
    return _of_pair(scratch, pair, "f.side")


def studies_of(scratch: ScratchDatabase, pair: NearIdenticalPair) -> tuple[int, int]:
    return _of_pair(scratch, pair, "s.id")


def pair_name(scratch: ScratchDatabase, pair: NearIdenticalPair) -> str:
    """Return both file names, as shown to people."""
    return " ~ ".join(file_name(path) for path in _of_pair(scratch, pair, "f.path"))


def _of_pair(scratch: ScratchDatabase, pair: NearIdenticalPair, column: str) -> tuple[Any, Any]:
    query = f"SELECT {column} FROM images f JOIN studies s ON s.id = f.study WHERE f.id = ?"
    one, other = (next(scratch.rows(query, image))[0] for image in (pair.one, pair.other))
    return one, other
