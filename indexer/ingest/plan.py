"""Read a source once before it is indexed: what all depends on, how much there is, and where."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.index.image_root import common_root
from indexer.ingest.studies import record_inputs
from indexer.sources.records import Record, Source, StudyRecord


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The work of one build or addition."""

    digest: str
    """Of all that the vectors and cases depend on."""
    studies: int
    images: int
    image_root: Path | None
    """The folder that contains all images; None if only ``/`` does."""


def plan(source: Source, settings: list[Any], image_root: Path | None) -> Plan:
    """Read all records; ``image_root`` is that of the index added to.

    It is kept if no folder other than ``/`` contains both it and the new images.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    studies = images = 0
    root, last, apart = image_root, None, False
    for record in source.records():
        digest.update(repr(record_inputs(record)).encode())
        studies += 1
        images += image_count([record])
        for image in record.images if isinstance(record, StudyRecord) else ():
            folder = image.path.absolute().parent
            if apart or folder == last:
                continue
            last = folder
            joined = common_root([folder] if root is None else [root, folder])
            apart = joined is None
            root = image_root if apart else joined
    return Plan(digest=digest.hexdigest(), studies=studies, images=images, image_root=root)


def image_count(records: Iterable[Record]) -> int:
    """Count the images of studies, those of studies that were embedded earlier included."""
    return sum(_images_of(record) for record in records if isinstance(record, StudyRecord))


def _images_of(record: StudyRecord) -> int:
    return len(record.images if record.embedded is None else record.embedded.images)
