"""Merge several indexes into one, in which their cases get new ids.

merged = merge([Path("data/openi"), Path("data/ours")], Path("data/both"))
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from db.errors import MismatchError, UserError
from db.index.image_root import common_root
from db.index.store import Case, CaseStore
from indexer.erasure import is_withdrawn
from indexer.index import CASES, Index
from indexer.ingest.assembly import Clock, IndexPart, VersionInfo, assemble, merge_names, utc_now
from indexer.ingest.staging import Staging
from indexer.manifest import Manifest
from indexer.vectors.options import VectorOptions
from indexer.versions import KEPT, changing

_CURE = "free some space or choose another place, then run the same command again"


@dataclass(frozen=True, kw_only=True)
class MergeResult:
    """The result of a merge."""

    manifest: Manifest
    repeated: int
    """Studies that several indexes hold; each is kept once."""
    withdrawn: int
    """Studies left out because one of the indexes lists them or their patients as withdrawn."""


def merge(
    index_dirs: Sequence[Path],
    out: Path,
    *,
    options: VectorOptions | None = None,
    keep: int = KEPT,
    clock: Clock = utc_now,
) -> MergeResult:
    """Write the cases of all ``index_dirs`` as the next version of the index at ``out``.

    The merged indexes are not changed. Raises MismatchError for different encoders or labellers,
    and UserError for fewer than two indexes, for a study whose content differs between two of them,
    if another process is changing ``out``, or if ``out`` cannot be written.
    """
    if len(index_dirs) < 2:
        raise UserError("a merge needs at least two indexes")
    indexes = [Index.open(path) for path in index_dirs]
    first = indexes[0]
    for index in indexes[1:]:
        first.require(index.manifest.encoder)
        if index.manifest.labeller_version != first.manifest.labeller_version:
            raise MismatchError(
                f"{first.path} was labelled by '{first.manifest.labeller_version}', {index.path} "
                f"by '{index.manifest.labeller_version}': build one of them again"
            )
    with changing(out, "merging into", cure=_CURE) as versions:
        staging = Staging(versions.building)
        staging.discard()
        staging.draft.mkdir(parents=True)
        before = None if versions.number() == 0 else Manifest.read(versions.current() or out)
        manifests = [index.manifest for index in indexes]
        known = manifests if before is None else [before, *manifests]
        withdrawn = tuple(dict.fromkeys(digest for one in known for digest in one.withdrawn))
        parts: list[IndexPart] = []
        repeated = left_out = 0
        roots = [Path(one.image_root) for one in manifests if one.image_root is not None]
        root = common_root(roots)
        with CaseStore.create(staging.draft / CASES, image_root=root) as cases:
            for index in indexes:
                again = _repeated(index, indexes[: len(parts)])
                gone = _withdrawn(index, withdrawn) - again
                part = IndexPart(index=index, without=again | gone, shift=cases.next_id())
                part.copy_cases(cases)
                parts.append(part)
                repeated, left_out = repeated + len(again), left_out + len(gone)
        info = replace(
            VersionInfo.of(first.manifest),
            version=versions.number() + 1,
            made_by="merge",
            created_at=clock().isoformat(timespec="seconds"),
            source=merge_names((one.source for one in manifests), "+"),
            split=merge_names((one.split for one in manifests), ","),
            licence=merge_names((one.licence for one in manifests), "; "),
            skipped={},
            notes={},
            identifiers={},
            vector_options=options or VectorOptions(),
            image_root=None if root is None else str(root),
            withdrawn=withdrawn,
            history=() if before is None else (*before.history, before.past()),
        )
        manifest = assemble(staging.draft, parts, (), info)
        versions.publish(staging.draft, manifest, keep=keep)
    return MergeResult(manifest=manifest, repeated=repeated, withdrawn=left_out)


def _repeated(index: Index, earlier: Sequence[Index]) -> frozenset[int]:
    """Return the cases that an earlier index holds too.

    Raises UserError for a study that differs between the two.
    """
    found: set[int] = set()
    for other in earlier:
        for case_id, twin_id in _twins(index, other):
            [case], [twin] = index.cases.get([case_id]), other.cases.get([twin_id])
            if _content(case) != _content(twin):
                raise UserError(
                    f"study {case.study_id} of source '{case.source}' differs between "
                    f"{other.path} and {index.path}: remove it from one of them"
                )
            found.add(case_id)
    return frozenset(found)


def _twins(index: Index, other: Index) -> list[tuple[int, int]]:
    twins = []
    for source, studies in index.cases.study_pages():
        there = other.cases.find_all(source, studies)
        twins += [(studies[study_id], there[study_id]) for study_id in there]
    return twins


def _withdrawn(index: Index, withdrawals: Sequence[str]) -> frozenset[int]:
    if not withdrawals:
        return frozenset()
    return frozenset(
        case.case_id
        for case in index.cases
        if is_withdrawn(withdrawals, case.source, case.study_id, case.patient_id)
    )


def _content(case: Case) -> Case:
    images = tuple(replace(image, path=None) for image in case.images)
    return replace(case, case_id=0, images=images)
