"""An index of an older format as a version of the present one, with the same cases and vectors."""

from dataclasses import replace
from pathlib import Path

from db.index.store import CaseStore
from indexer.index import CASES, Index
from indexer.ingest.assembly import About, Clock, Part, assemble, utc_now
from indexer.ingest.staging import Staging
from indexer.manifest import FORMAT_VERSION, Manifest
from indexer.versions import KEPT, changing

_CURE = "make room or have it mounted for writing, then run the same command again"


def upgrade(index_dir: Path, *, keep: int = KEPT, clock: Clock = utc_now) -> Manifest | None:
    """Write the next version in the present format; None where the index has it already.

    The old version is kept like any other. Raises UserError where other work is going on or the
    directory cannot be written.
    """
    if Manifest.read(index_dir).format_version == FORMAT_VERSION:
        return None
    with changing(index_dir, "upgrading", cure=_CURE) as versions:
        staging = Staging(versions.building)
        staging.discard()
        staging.draft.mkdir(parents=True)
        index = Index.open(index_dir)
        before = index.manifest
        part = Part(index=index)
        with CaseStore.create(staging.draft / CASES) as cases:
            part.copy_cases(cases)
        about = replace(
            About.of(before),
            version=before.version + 1,
            made_by="upgrade",
            created_at=clock().isoformat(timespec="seconds"),
            history=(*before.history, before.past()),
        )
        manifest = assemble(staging.draft, [part], (), about)
        versions.publish(staging.draft, manifest, keep=keep)
    return manifest
