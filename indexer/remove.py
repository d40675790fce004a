"""Taking studies out of an index: as a new version, or out of every kept version for good.

    target = RemovalTarget(patient_id="p3")
    find(index_dir, target).cases                        # of every kept version
    remove(index_dir, target, everywhere=True)           # consent withdrawn: nothing keeps them

Files are written again without the removed cases: nothing of them is ever in the new files, and
the old files are deleted. What several cases went into together, such as the averages of an image
profile, is computed again from those that stay; only a profile that came with stored vectors, and
whose images were never here, stays as it is.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from db.errors import NotFoundError, UserError
from db.index.store import Case, CaseStore
from indexer.erasure import withdrawal_digest
from indexer.index import CASES, Index
from indexer.ingest.assembly import Clock, IndexPart, VersionInfo, assemble, utc_now
from indexer.manifest import Manifest
from indexer.versions import KEPT, Versions, changing

_CURE = "make room or have it mounted for writing, then run the same command again"


@dataclass(frozen=True, kw_only=True)
class RemovalTarget:
    """What is to go: one patient, or some studies. Raises UserError for neither or both."""

    patient_id: str | None = None
    study_ids: tuple[str, ...] = ()
    source: str | None = None
    """Ids name somebody within one source; needed where several sources have the id."""

    def __post_init__(self) -> None:
        if (self.patient_id is None) == (not self.study_ids):
            raise UserError("name one patient with --patient, or some studies with --study")

    def ids(self, cases: CaseStore) -> dict[int, str]:
        """Case id to source, of what is in this store.

        Raises UserError where the same id means different people.
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
                    "say whose with --source"
                )
            found |= {case_id: source for source, ids in sources.items() for case_id in ids}
        return found

    def withdrawals(self, sources: Iterable[str]) -> tuple[str, ...]:
        """The digests that keep it from coming back."""
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
    """What there is of a target, each study once."""

    cases: tuple[Case, ...]
    fingerprints: frozenset[str]
    """Of versions that hold it, and of those no longer kept, which may have held it."""


@dataclass(frozen=True, kw_only=True)
class RemovalResult:
    """What a removal did."""

    manifest: Manifest
    cases: int
    """That are gone from the current version."""
    rewritten: tuple[int, ...]
    """Numbers of earlier versions that held any of it, and no longer do."""


def find(index_dir: Path, target: RemovalTarget) -> TargetCases:
    """What the kept versions hold of it; a removal that was cut off is no longer in all of them.

    Raises NotFoundError where none holds it.
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
    """A new version of an index without the target; with ``everywhere`` no kept version has it.

    Raises NotFoundError where nothing holds it, and UserError where nothing would be left, other
    work is going on, or the directory cannot be written. Unfinished additions are discarded.
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
        """Rewrite the version in ``folder`` without the target: as the next version, or, with
        no ``made_at``, as the same."""
        shutil.rmtree(self.drafted, ignore_errors=True)
        self.drafted.mkdir(parents=True)
        index = Index.open(folder)
        before = index.manifest
        part = IndexPart(index=index, without=frozenset(self.held(folder)))
        with CaseStore.create(self.drafted / CASES) as cases:
            part.copy_cases(cases)
        about = VersionInfo.of(before)
        about = replace(about, withdrawn=tuple(dict.fromkeys((*before.withdrawn, *self.digests))))
        if made_at is not None:
            about = replace(
                about,
                version=before.version + 1,
                made_by="remove",
                created_at=made_at,
                history=(*before.history, before.past()),
            )
        # A removal is never refused for the sake of recall.
        lenient = replace(before.vector_options, min_recall=0.0, memory_bytes=None)
        return assemble(self.drafted, [part], (), about, vector_options=lenient)

    def purge_earlier(self, current: Manifest) -> tuple[int, ...]:
        """Rewrite the earlier versions that hold the target.

        One that then is empty, or equal to the current one, is dropped.
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
