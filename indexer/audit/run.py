"""Audit a data set before it is used: duplicates, leaks between splits, identifiers, outliers.

    found = audit(source, encoder=load_encoder("pretrained/encoder"))
    found.count("images", "byte-identical pairs").count
    write_audit(found, Path("audit"))                  # audit/audit.html and audit/audit.json

The source is read once. Studies and images are kept in a temporary file, about 600 bytes each, and
compared there, so memory use hardly grows with their number.
"""

import datetime
import json
from collections.abc import Callable
from pathlib import Path

from db.errors import UserError
from db.files import write_text
from indexer.audit import overlaps, parts
from indexer.audit.collect import Progress, collect, collect_index
from indexer.audit.outliers import FAR, count_outliers, extreme_images, sample_images
from indexer.audit.page import page
from indexer.audit.plots import plots_of
from indexer.audit.result import Audit, AuditPart
from indexer.audit.scratch import ScratchDatabase
from indexer.audit.similarity import compare_thumbnails, compare_vectors, with_different_pixels
from indexer.encoder.spec import Encoder
from indexer.images.radiograph import Limits
from indexer.index import Index
from indexer.sources.records import Source

HTML, JSON = "audit.html", "audit.json"


def audit(
    source: Source,
    *,
    against: Source | Index | None = None,
    encoder: Encoder | None = None,
    limits: Limits | None = None,
    progress: Progress = lambda records: records,
    clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
) -> Audit:
    """Audit ``source``; with ``against``, also what it shares with another source or an index.

    With an encoder, up to 10,000 images are embedded to find outliers. Raises UserError if a source
    cannot be read or has no usable study.
    """
    limits = limits or Limits()
    scratch = ScratchDatabase()
    tally = collect(source, scratch, "audited", limits, progress=progress)
    if not tally.counts["studies", "usable"]:
        reason = next(iter(tally.names("skipped")), "it has no study")
        raise UserError(f"source '{source.name}' has no usable study: {reason}")
    if isinstance(against, Index):
        collect_index(against, scratch)
    elif against is not None:
        collect(against, scratch, "compared", limits, progress=progress)
    scratch.index()
    near = with_different_pixels(scratch, compare_thumbnails(scratch))
    embedded = 0 if encoder is None else compare_vectors(scratch, encoder, limits)
    found = [
        parts.studies_part(tally, scratch),
        parts.images_part(tally, scratch, near),
        parts.sections_part(tally),
        parts.reading_part(tally),
        parts.labels_part(tally),
        overlaps.texts_part(scratch),
        overlaps.splits_part(scratch, near),
        parts.comparisons_part(tally),
        parts.identifiers_part(tally),
        AuditPart(
            name="outliers",
            counts=tuple(count_outliers(scratch)),
            note=f"At least {FAR:g} times as far from the median as the most extreme 5 % of images "
            f"on that side; {embedded} images embedded.",
        ),
    ]
    if against is not None:
        name = against.manifest.source if isinstance(against, Index) else against.name
        found.append(overlaps.against_part(scratch, near, same_source=name == source.name))
    return Audit(
        source=source.name,
        split=source.split,
        licence=source.licence,
        made_at=clock().isoformat(timespec="seconds"),
        against=None if against is None else _name(against),
        parts=tuple(found),
        extreme_images=tuple(extreme_images(scratch, limits)),
        sample_images=tuple(sample_images(scratch, limits)),
        plots=plots_of(tally, scratch),
    )


def write_audit(found: Audit, directory: Path) -> None:
    """Write the HTML page and the JSON file. Raises UserError if ``directory`` is not writable."""
    text = json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n"
    try:
        for name, content in ((JSON, text), (HTML, page(found))):
            write_text(directory / name, content)
    except OSError as error:
        raise UserError(f"{directory} cannot be written ({error.strerror or error})") from error


def _name(other: Source | Index) -> str:
    if isinstance(other, Index):
        return f"index {other.path} of {other.manifest.source}, split {other.manifest.split}"
    return f"{other.name}, split {other.split}"
