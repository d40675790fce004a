"""Remove studies from an index: in a new version only, or from every kept version for good.

    target = RemovalTarget(patient_id="p3")
    find(index_dir, target).cases                        # in any kept version
    remove(index_dir, target, everywhere=True)           # consent withdrawn: no version keeps them

All files are rewritten without the removed cases, and the old files are deleted. Whatever was
computed from several cases, such as the average thumbnails of a typicality profile, is computed
again from the remaining ones. The exception is a profile that came with stored vectors, whose
images were never read here: it stays as it is.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from db.errors import NotFoundError, UserError
from db.index.store import Case, CaseStore
from indexer.erasure import withdrawal_digest
from indexer.index import CASES, Index
from indexer.ingest.assembly import (
    Clock,
    IndexPart,
    VersionInfo,
    assemble,
    path_or_none,
    utc_now,
)
from indexer.ingest.build_log import BUILD_LOG
from indexer.manifest import Manifest
from indexer.versions import KEPT, Versions, changing

_CURE = "free some space or mount it writable, then run the same command again"


@dataclass(frozen=True, kw_only=True)
class RemovalTarget:
    """What to remove: one patient, or some studies. Raises UserError for neither or both."""

    patient_id: str | None = None
    study_ids: tuple[str, ...] = ()
    source: str | None = None
    """Ids are unique only within a source; needed if several sources have the id."""

    def __post_init__(self) -> None:
        if (self.patient_id is None) == (not self.study_ids):
            raise UserError("name one patient with --patient, or some studies with --study")

    def ids(self, cases: CaseStore) -> dict[int, str]:
        """Map the matching case ids in a store to their sources.

        Raises UserError if several sources have the id.
        """
        found: dict[int, str] = {}
        wanted: Iterable[tuple[str | None, str | None]] = [(self.patient_id, None)]
        if self.patient_id is None:
            wanted = [(None, study_id) for study_id in self.study_ids]
        for patient_id, study_id in wanted:
            sources = cases.sources_of(patient_id=patient_id, study_id=study_id)
            if self.source is not None:
                sources = {name: ids for name, ids in sources.items() if name == self.source}
            if len(sources) > 1:
                raise UserError(
                    f"'{patient_id or study_id}' is an id in {' and in '.join(sorted(sources))}: "
                    "choose one with --source"
                )
            found |= {case_id: source for source, ids in sources.items() for case_id in ids}
        return found

    def withdrawals(self, sources: Iterable[str]) -> tuple[str, ...]:
        """Return the digests that keep it from being added again."""
        return tuple(
            digest
            for source in sorted(set(sources))
            for digest in (
                [withdrawal_digest("patient", source, self.patient_id)]
                if self.patient_id is not None
                else [withdrawal_digest("study", source, study_id) for study_id in self.study_ids]
            )
        )

    def __str__(self) -> str:
        what = (
            f"patient '{self.patient_id}'"
            if self.patient_id is not None
            else f"study {' or '.join(repr(one) for one in self.study_ids)}"
        )
        return what if self.source is None else f"{what} of source '{self.source}'"


@dataclass(frozen=True, kw_only=True)
class TargetCases:
    """The cases of a target, each study once."""

    cases: tuple[Case, ...]
    fingerprints: frozenset[str]
    """Fingerprints of versions that hold it, or that are no longer kept and may have held it."""


@dataclass(frozen=True, kw_only=True)
class RemovalResult:
    """The result of a removal."""

    manifest: Manifest
    cases: int
    """Number of cases removed from the current version."""
    rewritten: tuple[int, ...]
    """Numbers of earlier versions that held the target and no longer do."""


def find(index_dir: Path, target: RemovalTarget) -> TargetCases:
    """Find a target in all kept versions; after an interrupted removal some lack it already.

    Raises NotFoundError if no version holds it.
    """
    found: dict[tuple[str, str], Case] = {}
    fingerprints: set[str] = set()
    for folder in reversed(Versions(index_dir).kept()):
        index = Index.open(folder)
        cases = index.cases.get(sorted(target.ids(index.cases)))
        for case in cases:
            found.setdefault((case.source, case.study_id), case)
        fingerprints |= {past.fingerprint for past in index.manifest.history}
        fingerprints.discard(index.manifest.fingerprint)
        if cases:
            fingerprints.add(index.manifest.fingerprint)
        index.close()
    if not found:
        raise NotFoundError(f"no kept version of {index_dir} holds {target}")
    return TargetCases(cases=tuple(found.values()), fingerprints=frozenset(fingerprints))


def remove(
    index_dir: Path,
    target: RemovalTarget,
    *,
    everywhere: bool = False,
    keep: int = KEPT,
    clock: Clock = utc_now,
) -> RemovalResult:
    """Write a new version without the target; ``everywhere`` removes it from all kept versions.

    Unfinished additions are discarded. Raises NotFoundError if the target is not found, and
    UserError if no study would be left, another process is changing the index, or it cannot be
    written.
    """
    Manifest.read(index_dir)
    with changing(index_dir, "removing from", cure=_CURE) as versions:
        shutil.rmtree(versions.building, ignore_errors=True)
        work = _Removal(versions, target)
        holding = {folder: work.held(folder) for folder in versions.kept()}
        current = versions.current() or index_dir
        if not holding[current] and not (everywhere and any(holding.values())):
            raise NotFoundError(f"{index_dir} holds no {target}")
        if everywhere:
            work.digests = target.withdrawals(
                source for ids in holding.values() for source in ids.values()
            )
        manifest = Manifest.read(current)
        if holding[current] or not set(work.digests) <= set(manifest.withdrawn):
            made = clock().isoformat(timespec="seconds")
            manifest = work.draft(current, made_at=made)
            versions.publish(work.drafted, manifest, keep=keep + everywhere)
        rewritten = work.purge_earlier(manifest) if everywhere else ()
        if everywhere:
            (index_dir / BUILD_LOG).unlink(missing_ok=True)
        versions.prune(keep)
        return RemovalResult(manifest=manifest, cases=len(holding[current]), rewritten=rewritten)


class _Removal:
    def __init__(self, versions: Versions, target: RemovalTarget) -> None:
        self._versions = versions
        self._target = target
        self.drafted = versions.building / "draft"
        self.digests: tuple[str, ...] = ()

    def held(self, folder: Path) -> dict[int, str]:
        with CaseStore.open(folder / CASES) as cases:
            return self._target.ids(cases)

    def draft(self, folder: Path, *, made_at: str | None) -> Manifest:
        """Rewrite the version in ``folder`` without the target: as the next version, or under the
        same number if ``made_at`` is None."""
        shutil.rmtree(self.drafted, ignore_errors=True)
        self.drafted.mkdir(parents=True)
        index = Index.open(folder)
        before = index.manifest
        part = IndexPart(index=index, without=frozenset(self.held(folder)))
        root = path_or_none(before.image_root)
        with CaseStore.create(self.drafted / CASES, image_root=root) as cases:
            part.copy_cases(cases)
        info = VersionInfo.of(before)
        info = replace(info, withdrawn=tuple(dict.fromkeys((*before.withdrawn, *self.digests))))
        if made_at is not None:
            info = replace(
                info,
                version=before.version + 1,
                made_by="remove",
                created_at=made_at,
                history=(*before.history, before.past()),
            )
        # Low recall or a memory limit must not prevent a removal.
        lenient = replace(before.vector_options, min_recall=0.0, memory_bytes=None)
        return assemble(self.drafted, [part], (), info, vector_options=lenient)

    def purge_earlier(self, current: Manifest) -> tuple[int, ...]:
        """Rewrite the earlier versions that hold the target.

        Those that would be empty, or equal to the current one, are dropped.
        """
        rewritten = []
        for folder, manifest in self._versions.kept().items():
            held = self.held(folder)
            if not held:
                continue
            rewritten.append(manifest.version)
            if len(held) < manifest.studies:
                drafted = self.draft(folder, made_at=None)
                if drafted.fingerprint != current.fingerprint:
                    self._versions.place(self.drafted, drafted)
            self._versions.drop(folder)
        shutil.rmtree(self._versions.building, ignore_errors=True)
        return tuple(rewritten)
