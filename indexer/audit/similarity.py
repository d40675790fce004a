"""Images compared with one another: near duplicates by thumbnail, outliers by thumbnail and vector.

Two images whose 16 x 16 thumbnails correlate above .99 are near duplicates: an image encoded again,
resized or changed in brightness. No two images of different examinations in Open-I come that near
(7,426 images: one pair besides the three identical ones, two captures of one exposure); a crop is
not found.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.audit.collect import name_of
from indexer.audit.ledger import Ledger
from indexer.encoder.spec import Encoder
from indexer.images.radiograph import Limits
from indexer.images.reader import read_radiograph, restore_size

NEAR = 0.99
MOST_PAIRS = 100_000
"""Near duplicates that are listed one by one; more of them are one and the same image."""
MOST_EMBEDDED = 10_000
"""Images that are embedded, a fixed draw of them where there are more."""

_ROWS = 2048
_BATCH = 32
_NEAREST = 10
_SHORTEST = 128.0  # length of a thumbnail of 8 grey levels of deviation; below it is noise


@dataclass(frozen=True, kw_only=True)
class NearDuplicatePair:
    """Two images by their ids in the ledger, the lower first."""

    one: int
    other: int


def compare_thumbnails(ledger: Ledger) -> list[NearDuplicatePair]:
    """The near duplicates; writes ``outline`` of every image. Blocks of 2,048 images at a time."""
    ids, studies, thumbnails = ledger.thumbnails()
    best = np.full(len(ids), -1.0, dtype=np.float32)
    pairs: list[NearDuplicatePair] = []
    for start in range(0, len(ids), _ROWS):
        rows = slice(start, start + _ROWS)
        left = _unit(thumbnails[rows])
        for other in range(start, len(ids), _ROWS):
            columns = slice(other, other + _ROWS)
            similarity = left @ _unit(thumbnails[columns]).T
            for i, j in np.argwhere(similarity > NEAR) + np.array([start, other]):
                if i < j and len(pairs) < MOST_PAIRS:
                    pairs.append(NearDuplicatePair(one=int(ids[i]), other=int(ids[j])))
            similarity[studies[rows, None] == studies[None, columns]] = -1.0
            best[rows] = np.maximum(best[rows], similarity.max(axis=1))
            best[columns] = np.maximum(best[columns], similarity.max(axis=0))
    ledger.set_images("outline", ids, best)
    return pairs


def compare_vectors(ledger: Ledger, encoder: Encoder, limits: Limits) -> int:
    """Write ``similarity`` and, with a view head, ``frontality``; returns how many images it
    read."""
    rows = list(
        ledger.rows(
            "SELECT id, study, path, width, height FROM images "
            "WHERE side = 'here' AND file NOT NULL ORDER BY pixels, id LIMIT ?",
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
    ledger.set_images("similarity", ids, _similarity(np.concatenate(vectors), studies))
    if frontal:
        ledger.set_images("frontality", ids, np.concatenate(frontal))
    return len(rows)


def _similarity(vectors: np.ndarray, studies: np.ndarray) -> np.ndarray:
    """Mean cosine to the nearest images of other studies, (n,)."""
    nearest = max(1, min(_NEAREST, len(np.unique(studies)) - 1))
    means = np.zeros(len(vectors))
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        cosines = vectors[rows] @ vectors.T
        cosines[studies[rows, None] == studies[None]] = -1.0
        means[rows] = np.partition(cosines, -nearest, axis=1)[:, -nearest:].mean(axis=1)
    return means


def _unit(thumbnails: np.ndarray) -> np.ndarray:
    """Mean 0 and unit length, or shorter where there is next to no contrast: (n, 256) float32."""
    centred = thumbnails.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    unit: np.ndarray = centred / np.maximum(
        np.linalg.norm(centred, axis=1, keepdims=True), _SHORTEST
    )
    return unit


def unequal(ledger: Ledger, pairs: Iterable[NearDuplicatePair]) -> list[NearDuplicatePair]:
    """Without those whose pixels are identical, which are counted as such."""
    return [pair for pair in pairs if len(set(_of_pair(ledger, pair, "f.pixels"))) == 2]


def splits_of(ledger: Ledger, pair: NearDuplicatePair) -> tuple[str | None, str | None]:
    return _of_pair(ledger, pair, "s.split")


def sides_of(ledger: Ledger, pair: NearDuplicatePair) -> tuple[str, str]:
    return _of_pair(ledger, pair, "f.side")


def studies_of(ledger: Ledger, pair: NearDuplicatePair) -> tuple[int, int]:
    return _of_pair(ledger, pair, "s.id")


def pair_name(ledger: Ledger, pair: NearDuplicatePair) -> str:
    """Both file names, for people."""
    return " ~ ".join(name_of(path) for path in _of_pair(ledger, pair, "f.path"))


def _of_pair(ledger: Ledger, pair: NearDuplicatePair, column: str) -> tuple[Any, Any]:
    query = f"SELECT {column} FROM images f JOIN studies s ON s.id = f.study WHERE f.id = ?"
    one, other = (next(ledger.rows(query, image))[0] for image in (pair.one, pair.other))
    return one, other
