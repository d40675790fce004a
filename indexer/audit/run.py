"""What a careful person asks of a data set before it is used, answered in one reading.

    found = audit(source, encoder=load_encoder("pretrained/encoder"))
    found.count("images", "byte-identical pairs").count
    write_audit(found, Path("audit"))                  # audit/audit.html and audit/audit.json

The source is read once; studies and images are remembered in a temporary file, some 600 bytes each,
and compared there, so that memory hardly grows with their number.
"""

import datetime
import json
from collections.abc import Callable
from pathlib import Path

from db.errors import UserError
from db.files import write_text
from indexer.audit import overlaps, parts
from indexer.audit.collect import Progress, collect, collect_index
from indexer.audit.ledger import Ledger
from indexer.audit.outliers import FAR, count_outliers, outermost
from indexer.audit.page import page
from indexer.audit.result import Audit, AuditSection
from indexer.audit.similarity import compare_thumbnails, compare_vectors, unequal
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
    """Audit ``source``; with ``against``, also what it has in common with another, or an index.

    With an encoder, up to 10,000 images are embedded to find those unlike the others. Raises
    UserError where a source cannot be read, or has nothing to audit.
    """
    limits = limits or Limits()
    ledger = Ledger()
    tally = collect(source, ledger, "here", limits, progress=progress)
    if not tally.counts["studies", "usable"]:
        first = next(iter(tally.names("left out")), "it has no study")
        raise UserError(f"source '{source.name}' has nothing to audit: {first}")
    if isinstance(against, Index):
        collect_index(against, ledger)
    elif against is not None:
        collect(against, ledger, "there", limits, progress=progress)
    ledger.index()
    near = unequal(ledger, compare_thumbnails(ledger))
    embedded = 0 if encoder is None else compare_vectors(ledger, encoder, limits)
    found = [
        parts.studies_part(tally, ledger),
        parts.images_part(tally, ledger, near),
        parts.sections_part(tally),
        parts.labels_part(tally),
        overlaps.texts_part(ledger),
        overlaps.splits_part(ledger, near),
        parts.comparisons_part(tally),
        parts.residue_part(tally),
        AuditSection(
            name="outliers",
            counts=tuple(count_outliers(ledger)),
            note=f"At least {FAR:g} times as far from the median as the outer 5 % of that side; "
            f"{embedded} images embedded.",
        ),
    ]
    if against is not None:
        name = against.manifest.source if isinstance(against, Index) else against.name
        found.append(overlaps.against_part(ledger, near, same_source=name == source.name))
    return Audit(
        source=source.name,
        split=source.split,
        licence=source.licence,
        made_at=clock().isoformat(timespec="seconds"),
        against=None if against is None else _name(against),
        parts=tuple(found),
        outermost=tuple(outermost(ledger, limits)),
    )


def write_audit(found: Audit, directory: Path) -> None:
    """Write the page and its JSON; raises UserError where the folder cannot be written."""
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
