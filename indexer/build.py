"""Build an index from a source, or add a source to an index; both can be resumed after a kill.

    built = build(source, encoder, Path("data/index"))
    built = add(more, encoder, Path("data/index"))       # only studies that are not indexed yet
    built.manifest.studies, built.skipped

Each finished batch is kept in the folder ``.building`` of the index. Batches follow the order of
the records, so a resumed build gives the same vectors to the last bit. An existing index is not
touched until the new version is complete.
"""

from pathlib import Path

from db.errors import MismatchError
from indexer.encoder.spec import Encoder, EncoderSpec
from indexer.engines.in_process import InProcess
from indexer.images.reader import Limits
from indexer.index import Index
from indexer.ingest.assembly import Clock, VersionInfo, merge_names, utc_now
from indexer.ingest.batch_indexer import BatchIndexer
from indexer.ingest.run import BuildResult, Engine, IngestRun, Progress, no_progress
from indexer.manifest import Manifest
from indexer.reports.labeller import LABELLER_VERSION
from indexer.sources.records import Source
from indexer.vectors.options import VectorOptions
from indexer.versions import KEPT, changing

__all__ = ["BuildResult", "Progress", "add", "build"]

_CURE = "make room or choose another place, then run the same command again to resume"


def build(
    source: Source,
    encoder: Encoder | EncoderSpec,
    out: Path,
    *,
    options: VectorOptions | None = None,
    keep: int = KEPT,
    progress: Progress = no_progress,
    limits: Limits | None = None,
    clock: Clock = utc_now,
    any_language: bool = False,
    keep_identifiers: bool = False,
    engine: Engine | None = None,
) -> BuildResult:
    """Index every study of ``source``; an existing index at ``out`` becomes the previous version.

    An EncoderSpec is enough for a source whose studies are all embedded already. Reports that are
    not in English get no labels, unless ``any_language`` says to read them as English. Identifiers
    in reports are replaced by marks, unless ``keep_identifiers``. ``engine`` decodes and embeds:
    see `indexer.engines`. Raises UserError if there is
    nothing to index, another process is changing the index, or the disk is full (finished batches
    are kept and the next call resumes).
    """
    engine = engine or InProcess()
    with changing(out, "building", cure=_CURE) as versions:
        before = None if versions.number() == 0 else Manifest.read(versions.current() or out)
        info = _version_info(source, encoder, before, None, options, clock)
        batches = BatchIndexer(
            source.name,
            encoder,
            info,
            None,
            limits or Limits(),
            any_language=any_language,
            keep_identifiers=keep_identifiers,
            studies_per_batch=engine.studies_per_batch,
        )
        work = IngestRun(source, batches, versions, info, None, engine)
        return work.run(progress, keep)


def add(
    source: Source,
    encoder: Encoder | EncoderSpec,
    index_dir: Path,
    *,
    options: VectorOptions | None = None,
    keep: int = KEPT,
    progress: Progress = no_progress,
    limits: Limits | None = None,
    clock: Clock = utc_now,
    any_language: bool = False,
    keep_identifiers: bool = False,
    engine: Engine | None = None,
) -> BuildResult:
    """Write a new version of an index that adds the studies of ``source`` it does not hold yet.

    Studies that are already indexed stay as they are; those whose report has changed are listed as
    skipped. Without new studies no version is written. Raises UserError as `build` does, and
    MismatchError for another encoder or labeller.
    """
    Manifest.read(index_dir)
    engine = engine or InProcess()
    with changing(index_dir, "adding to", cure=_CURE) as versions:
        base = Index.open(index_dir)
        base.require(encoder)
        before = base.manifest
        if before.labeller_version != LABELLER_VERSION:
            raise MismatchError(
                f"{index_dir} was labelled by '{before.labeller_version}', new studies would be "
                f"by '{LABELLER_VERSION}': build the index again"
            )
        info = _version_info(source, before.encoder, before, before, options, clock)
        batches = BatchIndexer(
            source.name,
            encoder,
            info,
            base,
            limits or Limits(),
            any_language=any_language,
            keep_identifiers=keep_identifiers,
            studies_per_batch=engine.studies_per_batch,
        )
        work = IngestRun(source, batches, versions, info, base, engine)
        return work.run(progress, keep)


def _version_info(
    source: Source,
    encoder: Encoder | EncoderSpec,
    before: Manifest | None,
    base: Manifest | None,
    options: VectorOptions | None,
    clock: Clock,
) -> VersionInfo:
    """Describe the version after ``before``, which adds to ``base`` or starts empty."""
    bases = () if base is None else (base,)
    return VersionInfo(
        version=1 if before is None else before.version + 1,
        made_by="build" if base is None else "add",
        created_at=clock().isoformat(timespec="seconds"),
        source=merge_names([*(one.source for one in bases), source.name], "+"),
        split=merge_names([*(one.split for one in bases), source.split], ","),
        licence=merge_names([*(one.licence for one in bases), source.licence], "; "),
        encoder=encoder if isinstance(encoder, EncoderSpec) else encoder.spec,
        labeller_version=LABELLER_VERSION,
        vector_options=options or (VectorOptions() if base is None else base.vector_options),
        withdrawn=() if before is None else before.withdrawn,
        history=() if before is None else (*before.history, before.past()),
    )
