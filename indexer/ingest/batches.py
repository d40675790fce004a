"""Batches of a build: studies as they are read, decoded and indexed."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from db.index.case import Case
from indexer.sources.records import EmbeddedStudy, Record

STUDIES_PER_BATCH = 16

ALREADY_INDEXED = "already in the index"
REPORT_CHANGED = "already in the index with a different report: remove it first to replace it"
CONSENT_WITHDRAWN = "consent withdrawn"


Fit = Callable[[np.ndarray], np.ndarray]
"""Brings an image to the size that an encoder's network sees."""


def in_batches(
    records: Iterable[Record], studies_per_batch: int, *, first: int = 0
) -> Iterator[tuple[int, list[Record]]]:
    """Yield numbered batches from ``first`` on, in their order; the last one may be smaller."""
    remaining = iter(records)
    for number in itertools.count():
        batch = list(itertools.islice(remaining, studies_per_batch))
        if not batch:
            return
        if number >= first:
            yield number, batch


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """A batch without vectors."""

    cases: tuple[Case, ...]
    embedded: tuple[EmbeddedStudy | None, ...]
    """For each case the vectors that came with its record."""
    texts: tuple[str, ...]
    """For each case the text to embed."""
    pixels: list[np.ndarray]
    """Images to embed, uint8, in the order of the cases."""
    images: int
    """Of all records, the skipped ones included."""
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Indexed:
    """A finished batch."""

    cases: tuple[Case, ...]
    images: int
    """Of all records, the skipped ones included."""
    arrays: dict[str, np.ndarray]
    """What `indexer.ingest.assembly.assemble` takes."""
