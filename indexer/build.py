"""Build an index from a source, or add a source to an index; both can be resumed after a kill.

    built = build(source, encoder, Path("data/index"))
    built = add(more, encoder, Path("data/index"))       # only studies that are not indexed yet
    built.manifest.studies, built.skipped

Each finished batch is kept in the folder ``.building`` of the index. Batches follow the order of
the records, so a resumed build gives the same vectors to the last bit. An existing index is not
touched until the new version is complete.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from db.errors import MismatchError, UserError
from db.index.store import CaseStore
from indexer.encoder.spec import Encoder, EncoderSpec
from indexer.images.reader import Limits
from indexer.index import CASES, Index
from indexer.ingest.assembly import (
    Clock,
    IndexPart,
    VersionInfo,
    assemble,
    merge_names,
    path_or_none,
    utc_now,
)
from indexer.ingest.batches import STUDIES_PER_BATCH, BatchIndexer, in_batches
from indexer.ingest.build_log import IMAGE_MISSING, NotIndexed
from indexer.ingest.plan import Plan, image_count, plan
from indexer.ingest.staging import Staging
from indexer.ingest.studies import DroppedImage
from indexer.manifest import FORMAT_VERSION, Manifest
from indexer.reports.labeller import LABELLER_VERSION
from indexer.sources.records import SkippedStudy, Source
from indexer.typicality.profile import TypicalityProfile
from indexer.vectors.options import VectorOptions
from indexer.versions import KEPT, Versions, changing

_CURE = "make room or choose another place, then run the same command again to resume"


class ProgressBar(Protocol):
    """Shows progress, as a ``tqdm`` bar does."""

    def update(self, n: float | None = 1, /) -> object:
        """Add ``n`` images."""
        ...


Progress = Callable[[int, int], ProgressBar]
"""Called with the number of images, and how many were finished by an interrupted build."""


class _NoBar:
    def update(self, n: float | None = 1, /) -> None:
        """Show nothing."""


def no_progress(_total: int, _done: int) -> ProgressBar:
    return _NoBar()


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """The result of `build` or `add`."""

    manifest: Manifest
    skipped: tuple[SkippedStudy, ...]
    resumed_batches: int
    """Batches taken over from an interrupted build."""
    added: int
    """Number of studies that are new in this version."""
    notes: Mapping[str, tuple[str, ...]]
    """Notes on the reading of reports and images, each with the ids of its studies."""
    not_indexed: NotIndexed
    log: Path
    """``build.log``, which lists what was left out."""
    identifiers: Mapping[str, int]
    """How many identifiers of each kind were replaced by a mark."""


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
) -> BuildResult:
    """Index every study of ``source``; an existing index at ``out`` becomes the previous version.

    An EncoderSpec is enough for a source whose studies are all embedded already. Reports that are
    not in English get no labels, unless ``any_language`` says to read them as English. Identifiers
    in reports are replaced by marks, unless ``keep_identifiers``. Raises UserError if there is
    nothing to index, another process is changing the index, or the disk is full (finished batches
    are kept and the next call resumes).
    """
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
        )
        work = _Build(source, batches, versions, info, None)
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
) -> BuildResult:
    """Write a new version of an index that adds the studies of ``source`` it does not hold yet.

    Studies that are already indexed stay as they are; those whose report has changed are listed as
    skipped. Without new studies no version is written. Raises UserError as `build` does, and
    MismatchError for another encoder or labeller.
    """
    Manifest.read(index_dir)
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
        )
        work = _Build(source, batches, versions, info, base)
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


class _Build:
    """One build or addition; ``base`` is the index added to."""

    def __init__(
        self,
        source: Source,
        batches: BatchIndexer,
        versions: Versions,
        info: VersionInfo,
        base: Index | None,
    ) -> None:
        self._source = source
        self._versions = versions
        self._staging = Staging(versions.building)
        self._info = info
        self._base = base
        self._batches = batches

    def run(self, progress: Progress, keep: int) -> BuildResult:
        work = self._plan()
        if work.studies == 0:
            raise UserError(
                f"source '{self._source.name}' has no study in split '{self._source.split}'"
            )
        root = work.image_root
        self._info = replace(self._info, image_root=None if root is None else str(root))
        done = self._staging.resume_or_start(work.digest)
        with CaseStore.create(self._staging.draft / CASES, image_root=root) as cases:
            if self._base is not None and cases.count() == 0:
                IndexPart(index=self._base).copy_cases(cases)
            cases.remove_from(self._batches.first_id(done))
            batches = in_batches(self._source.records())
            finished = sum(image_count(next(batches)) for _ in range(done))
            bar = progress(work.images, finished)
            for number in range(done, -(-work.studies // STUDIES_PER_BATCH)):
                records = next(batches)
                arrays = self._batches.index(number, records, cases)
                self._staging.write_batch(number, **arrays)
                bar.update(image_count(records))
        return self._finish(done, work.studies, keep)

    def _plan(self) -> Plan:
        base = None if self._base is None else self._base.manifest
        settings = [
            FORMAT_VERSION,
            asdict(self._info.encoder),
            LABELLER_VERSION,
            self._batches.settings,
            STUDIES_PER_BATCH,
            self._source.name,
            self._info.made_by,
            self._info.version,
            self._info.withdrawn,
            None if base is None else base.fingerprint,
        ]
        return plan(self._source, settings, None if base is None else path_or_none(base.image_root))

    def _finish(self, done: int, total: int, keep: int) -> BuildResult:
        skipped: list[SkippedStudy] = []
        notes: dict[str, tuple[str, ...]] = {}
        dropped: list[DroppedImage] = []
        identifiers: Counter[str] = Counter()
        added = 0
        for batch in self._staging.batches():
            added += len(batch["ids"])
            skipped += [SkippedStudy(**study) for study in json.loads(str(batch["skipped"]))]
            dropped += [DroppedImage(**image) for image in json.loads(str(batch["dropped"]))]
            for note, studies in json.loads(str(batch["notes"])).items():
                notes[note] = (*notes.get(note, ()), *studies)
            identifiers.update(json.loads(str(batch["identifiers"])))
        not_indexed = NotIndexed(
            studies=total,
            skipped=skipped,
            dropped=dropped,
            rows=getattr(self._source, "rows", None),
            notes=notes,
        )
        log = not_indexed.write(self._versions.index_dir, self._info.made_by, self._info.created_at)
        if added == 0 and self._base is not None:
            self._staging.discard()
            manifest = self._base.manifest
        elif added == 0:
            raise UserError(self._nothing(not_indexed, log))
        else:
            counts = {note: len(studies) for note, studies in notes.items()}
            self._info = replace(self._info, notes=counts, identifiers=dict(identifiers))
            manifest = self._publish(skipped, keep)
        return BuildResult(
            manifest=manifest,
            skipped=tuple(skipped),
            resumed_batches=done,
            added=added,
            notes=notes,
            identifiers=identifiers,
            not_indexed=not_indexed,
            log=log,
        )

    def _nothing(self, not_indexed: NotIndexed, log: Path) -> str:
        first = not_indexed.skipped[0]
        cure = ""
        if first.reason == IMAGE_MISSING and hasattr(self._source, "rows"):
            cure = "; say where the images are with --images-dir"
        return (
            f"none of the {len(not_indexed.skipped)} studies could be indexed; the first, "
            f"{first.study_id}: {first.detail or first.reason}{cure} (list in {log})"
        )

    def _publish(self, skipped: Sequence[SkippedStudy], keep: int) -> Manifest:
        counts: dict[str, int] = {}
        for study in skipped:
            counts[study.reason] = counts.get(study.reason, 0) + 1
        profile: TypicalityProfile | None = getattr(self._source, "image_profile", None)
        manifest = assemble(
            self._staging.draft,
            [] if self._base is None else [IndexPart(index=self._base)],
            self._staging.batches(),
            replace(self._info, skipped=counts),
            image_profile=profile if self._base is None else None,
        )
        self._versions.publish(self._staging.draft, manifest, keep=keep)
        return manifest
