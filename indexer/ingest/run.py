"""One build or addition: plan it, index its batches, publish the version they make."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from db.errors import UserError
from db.index.store import CaseStore
from indexer.index import CASES, Index
from indexer.ingest.assembly import IndexPart, VersionInfo, assemble, path_or_none
from indexer.ingest.batch_indexer import BatchIndexer
from indexer.ingest.batches import Indexed
from indexer.ingest.build_log import IMAGE_MISSING, NotIndexed
from indexer.ingest.plan import Plan, image_count, plan
from indexer.ingest.staging import Staging
from indexer.ingest.studies import DroppedImage
from indexer.manifest import FORMAT_VERSION, Manifest
from indexer.sources.records import SkippedStudy, Source
from indexer.typicality.profile import TypicalityProfile
from indexer.versions import Versions


class ProgressBar(Protocol):
    """Shows progress, as a ``tqdm`` bar does."""

    def update(self, n: float | None = 1, /) -> object:
        """Add ``n`` images."""
        ...


Progress = Callable[[int, int], ProgressBar]
"""Called with the number of images, and how many were finished by an interrupted build."""


class Engine(Protocol):
    """Decodes and embeds the batches of a source."""

    studies_per_batch: int
    """The same each time an interrupted build goes on."""

    def run(
        self, source: Source, indexer: BatchIndexer, first: int
    ) -> Generator[Indexed, None, None]:
        """Yield the batches from number ``first`` on, in their order."""
        ...


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


class IngestRun:
    """One build or addition; ``base`` is the index added to."""

    def __init__(
        self,
        source: Source,
        batches: BatchIndexer,
        versions: Versions,
        info: VersionInfo,
        base: Index | None,
        engine: Engine,
    ) -> None:
        self._source = source
        self._engine = engine
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
            bar = progress(work.images, self._finished_images(done))
            with closing(self._engine.run(self._source, self._batches, done)) as batches:
                for number, batch in enumerate(batches, start=done):
                    cases.add(batch.cases)
                    self._staging.write_batch(number, **batch.arrays)
                    bar.update(batch.images)
        return self._finish(done, work.studies, keep)

    def _finished_images(self, done: int) -> int:
        size = self._batches.studies_per_batch
        return image_count(itertools.islice(self._source.records(), done * size)) if done else 0

    def _plan(self) -> Plan:
        base = None if self._base is None else self._base.manifest
        settings = [
            FORMAT_VERSION,
            asdict(self._info.encoder),
            self._info.labeller_version,
            self._batches.settings,
            self._batches.studies_per_batch,
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
