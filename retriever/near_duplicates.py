"""Find near duplicates: indexed images that are the query image itself, or a version of it.

    finder = NearDuplicateFinder(index)
    finder.find(query)                # {case_id: "the same image"}

Two images are near duplicates if their pixels are equal, or if both their embeddings and their
difference hashes are nearly equal. This is the one rule for searching; it is measured in
``bench/index/near_duplicates.py``. The audit of a data set works without an encoder, and calls
images near-identical by a rule on thumbnails: see `indexer.audit.similarity`.
"""

import numpy as np

from indexer.images.reader import difference_hash
from indexer.index import Index
from retriever.query import Query

NEAR_DUPLICATE_SCORE = 0.995
"""The embeddings of near duplicates have a cosine above this,"""
NEAR_DUPLICATE_BITS = 3
"""and their 64-bit difference hashes differ in at most this many bits."""


class NearDuplicateFinder:
    """The hashes and vectors of all indexed images."""

    def __init__(self, index: Index) -> None:
        images = np.fromiter(index.cases.image_hashes(), dtype=[("case", "i8"), ("dhash", "u8")])
        self._cases = index.cases
        self._case_ids = images["case"].copy()
        self._hashes = images["dhash"].copy()
        self._vectors = index.image_vectors

    def find(self, query: Query) -> dict[int, str]:
        """Map ids of cases with a near duplicate of the query to the reason they are left out."""
        duplicates: dict[int, str] = {}
        for image, vector in zip(query.images, query.image_vectors, strict=True):
            dhash = np.uint64(difference_hash(image.pixels))
            near = np.flatnonzero(np.bitwise_count(self._hashes ^ dhash) <= NEAR_DUPLICATE_BITS)
            scores = self._vectors[near].astype(np.float32) @ vector
            for case_id in self._case_ids[near[scores > NEAR_DUPLICATE_SCORE]]:
                duplicates[int(case_id)] = "a near duplicate of the image"
        for case_id in self._cases.ids_with_pixels([image.sha256 for image in query.images]):
            duplicates[case_id] = "the same image"
        return duplicates
