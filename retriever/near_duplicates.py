"""Find near duplicates: indexed images that are the query image itself, or a version of it.

    finder = NearDuplicateFinder(index)
    finder.find(query)                # {case_id: "the same image"}

Two images are near duplicates if their pixels are equal, or if both their embeddings and their
difference hashes are nearly equal. This is the one rule for searching; it is measured in
``bench/index/near_duplicates.py``. The audit of a data set works without an encoder, and calls
images near-identical by a rule on thumbnails: see `indexer.audit.similarity`.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from indexer.images.reader import difference_hash
from indexer.index import Index
from retriever.query import Query

Embed = Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float32]]
"""From places to unit vectors, (n, dim)."""

NEAR_DUPLICATE_SCORE = 0.995
"""The embeddings of near duplicates have a cosine above this,"""
NEAR_DUPLICATE_BITS = 3
"""and their 64-bit difference hashes differ in at most this many bits."""


def near_pairs(
    some: Sequence[int], others: Sequence[int], embed_some: Embed, embed_others: Embed
) -> Iterator[tuple[int, int]]:
    """Yield near duplicates by place: one of ``some``, one of ``others``, both difference hashes.

    Only images whose hashes are nearly equal are embedded.
    """
    hashes = np.array(others, dtype=np.uint64)
    for one, dhash in enumerate(some):
        near = _near(hashes, dhash)
        if len(near):
            scores = embed_others(near) @ embed_some(np.array([one]))[0]
            for other in near[scores > NEAR_DUPLICATE_SCORE]:
                yield one, int(other)


def _near(hashes: npt.NDArray[np.uint64], dhash: int) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.bitwise_count(hashes ^ np.uint64(dhash)) <= NEAR_DUPLICATE_BITS)


class NearDuplicateFinder:
    """The hashes and vectors of all indexed images."""

    def __init__(self, index: Index) -> None:
        images = np.fromiter(index.cases.image_hashes(), dtype=[("case", "i8"), ("dhash", "u8")])
        self._cases = index.cases
        self._case_ids = images["case"].copy()
        self._hashes = images["dhash"].copy()
        self._vectors = index.image_vectors
        self._files = index.image_files

    def resembles(self, dhash: int) -> bool:
        """Tell whether any image has nearly this difference hash; if not, it has no duplicate."""
        return bool(len(_near(self._hashes, dhash)))

    def find(self, query: Query) -> dict[int, str]:
        """Map ids of cases with a near duplicate of the query to the reason they are left out."""
        duplicates: dict[int, str] = {}
        for image, vector in zip(query.images, query.image_vectors, strict=True):
            near = _near(self._hashes, difference_hash(image.pixels))
            self._files.check()
            scores = self._vectors[near].astype(np.float32) @ vector
            for case_id in self._case_ids[near[scores > NEAR_DUPLICATE_SCORE]]:
                duplicates[int(case_id)] = "a near duplicate of the image"
        for case_id in self._cases.ids_with_pixels([image.sha256 for image in query.images]):
            duplicates[case_id] = "the same image"
        return duplicates
