"""False positives of the near-duplicate rule among the studies of an index.

    python -m bench.index.near_duplicates --index data/train_index

Every pair of distinct indexed studies is tried with their stored vectors and difference hashes. A
pair that the rule catches is listed: with equal pixels it is one image under two numbers, otherwise
a false positive.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from db.errors import UserError
from db.index.store import Case
from indexer.index import Index
from retriever.near_duplicates import NEAR_DUPLICATE_BITS, NEAR_DUPLICATE_SCORE

ROWS = 512


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--index", type=Path, required=True)
    arguments = parser.parse_args(argv)
    try:
        index = Index.open(arguments.index)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    cases = list(index.cases)
    pairs = len(cases) * (len(cases) - 1) // 2
    alike = {(i, j): score for i, j, score in alike_pairs(index)}
    equal = set(equal_pixel_pairs(cases))
    hashed = set(equal_hash_pairs(cases))
    caught = sorted(equal | (alike.keys() & hashed))
    false = [pair for pair in caught if pair not in equal]
    print(f"index {index.manifest.fingerprint[:12]}, encoder {index.manifest.encoder.name}")
    print(f"pairs of distinct studies: {pairs:,}")
    print(f"  cosine above {NEAR_DUPLICATE_SCORE}: {len(alike):,}")
    print(f"  two images at most {NEAR_DUPLICATE_BITS} of 64 bits apart: {len(hashed):,}")
    print(f"  both: {len(alike.keys() & hashed):,}")
    print(f"  two images of equal pixels (true duplicates under two ids): {len(equal):,}")
    possible = pairs - len(equal)
    print(
        f"false positives of the rule: {len(false)} of {possible:,} = {len(false) / possible:.1e}"
    )
    for i, j in caught:
        kind = "equal pixels" if (i, j) in equal else f"cosine {alike[i, j]:.4f}"
        print(f"  {cases[i].study_id} and {cases[j].study_id}: {kind}")
    return 0


Pair = tuple[int, int]
"""Two places in the list of cases, the lower first."""


def alike_pairs(index: Index) -> Iterator[tuple[int, int, float]]:
    """Pairs that the cosine of two images alone would take for near duplicates."""
    ids = [case_id for case_id, _ in index.cases.image_hashes()]
    order = {case_id: place for place, case_id in enumerate(sorted(set(ids)))}
    places = np.array([order[case_id] for case_id in ids])
    vectors = index.image_vectors.astype(np.float32)
    for start in range(0, len(vectors), ROWS):
        scores = vectors[start : start + ROWS] @ vectors.T
        for row, column in np.argwhere(scores > NEAR_DUPLICATE_SCORE):
            one, other = int(places[start + row]), int(places[column])
            if one < other:
                yield one, other, float(scores[row, column])


def equal_hash_pairs(cases: Sequence[Case]) -> Iterator[Pair]:
    """Pairs that the difference hashes alone would take for near duplicates."""
    places = np.array([place for place, case in enumerate(cases) for _ in case.images])
    hashes = np.array([image.dhash for case in cases for image in case.images], dtype=np.uint64)
    for start in range(0, len(hashes), ROWS):
        apart = np.bitwise_count(hashes[start : start + ROWS, None] ^ hashes[None])
        for row, column in np.argwhere(apart <= NEAR_DUPLICATE_BITS):
            one, other = int(places[start + row]), int(places[column])
            if one < other:
                yield one, other


def equal_pixel_pairs(cases: Sequence[Case]) -> Iterator[Pair]:
    holders: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        for image in case.images:
            holders.setdefault(image.pixels_sha256, []).append(place)
    for digest, some in holders.items():
        if digest:
            yield from itertools.combinations(sorted(set(some)), 2)


if __name__ == "__main__":
    sys.exit(main())
