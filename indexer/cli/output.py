"""Format the results of commands as lines of text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from indexer.build import BuildResult
from indexer.erasure import RemainingFile
from indexer.manifest import Manifest
from indexer.merge import MergeResult
from indexer.relocate import Relocation
from indexer.remove import RemovalResult, RemovalTarget
from indexer.reports.sections.parse import LEFT_OUT
from indexer.verify import IndexProblem

if TYPE_CHECKING:  # SQLAlchemy takes a second to import, and few commands need it
    from db.app.erasure import Erasure


class Printed(NamedTuple):
    """What a verb prints, and its exit code."""

    lines: Iterable[str]
    exit_code: int = 0


def built_lines(built: BuildResult, out: Path | str) -> Iterator[str]:
    manifest = built.manifest
    if manifest.made_by == "add" or built.added < manifest.studies:
        yield f"{_studies(built.added)} added"
    yield f"{_studies(manifest.studies)} with {_images(manifest.images)} indexed in {out}"
    yield f"  version {manifest.version}, {_vectors(manifest)}"
    if built.resumed_batches:
        yield f"  {built.resumed_batches} batches were taken over from an interrupted build"
    yield from _note_lines(built.notes)
    summary = built.not_indexed.summary()
    summary = f"{summary} (list in {built.log})" if ": " in summary else summary
    if built.identifiers:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(built.identifiers.items()))
        total = _some(sum(built.identifiers.values()), "identifier", "identifiers")
        summary = f"{summary}; {total} in reports replaced by a mark ({kinds})"
    yield summary


_IDS_SHOWN = 10


def _note_lines(notes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """How reports were read: a line a note with some of its studies, one for what was left out."""
    for note, studies in sorted(notes.items()):
        if not note.startswith(LEFT_OUT):
            yield f"  {_studies(len(studies))}: {note}"
            more = f" and {len(studies) - _IDS_SHOWN} more" if len(studies) > _IDS_SHOWN else ""
            yield f"    {', '.join(studies[:_IDS_SHOWN])}{more}"
    left_out = [
        f"{note.removeprefix(LEFT_OUT)} {len(studies)}"
        for note, studies in sorted(notes.items())
        if note.startswith(LEFT_OUT)
    ]
    if left_out:
        yield f"  left out of reports, in so many studies: {', '.join(left_out)}"


def merged_lines(merged: MergeResult, out: Path | str) -> Iterator[str]:
    manifest = merged.manifest
    yield f"{_studies(manifest.studies)} with {_images(manifest.images)} merged into {out}"
    yield f"  version {manifest.version}, {_vectors(manifest)}"
    if merged.repeated:
        yield f"  {merged.repeated} studies were in more than one index and are there once"
    if merged.withdrawn:
        yield f"  {_studies(merged.withdrawn)} left out: consent withdrawn"


def removed_lines(
    removed: RemovalResult,
    target: RemovalTarget,
    withdrawn: "Erasure | None",
    remaining: Sequence[RemainingFile],
    *,
    everywhere: bool,
) -> Iterator[str]:
    manifest = removed.manifest
    yield f"{target} removed: {_studies(removed.cases)} fewer"
    yield f"  version {manifest.version} holds {_studies(manifest.studies)}"
    if not everywhere:
        yield "  earlier versions that are kept still hold it; --everywhere removes it from them"
        return
    if removed.rewritten:
        numbers = ", ".join(map(str, removed.rewritten))
        yield f"  earlier versions no longer hold it either: {numbers}"
    if withdrawn is not None:
        yield (
            f"  {withdrawn.quotes} quotes and {withdrawn.statements} statements withdrawn in "
            f"{withdrawn.generations} generations; its audit log keeps the numbers of studies"
        )
        if withdrawn.own:
            yield f"  written about these images, and still there: {', '.join(withdrawn.own)}"
    yield "  a server that has the index open answers from the old version until it reloads"
    if remaining:
        yield "Not changed, and may still include it:"
        yield from (f"  {file.path}: {file.what}" for file in remaining)
    yield "The data set and backups kept elsewhere are not changed: remove it from them too."


def relocated_lines(relocated: Relocation, index_dir: Path) -> Iterator[str]:
    yield f"images of {index_dir} are in {relocated.root}, no longer in {relocated.before}"
    yield f"  {relocated.images - relocated.missing} of {_images(relocated.images)} found there"


def problem_lines(problems: Sequence[IndexProblem], place: Path | str) -> Iterator[str]:
    yield from (f"version {one.version}: {one.what}" for one in problems)
    count = len(problems)
    yield f"{place}: " + ("whole" if not count else _some(count, "problem", "problems"))


def served_lines(manifest: Manifest) -> Iterator[str]:
    """How an index is searched on a server."""
    if manifest.server is None or not manifest.server.classes:
        yield "  every search is exact"
        return
    for one in manifest.server.classes:
        which = "without filter" if one.share == 1 else f"filter of {one.share:.1%}"
        how = f"HNSW, ef_search {one.ef_search}" if one.ef_search else "exact"
        yield f"  {which}: {how}, recall {one.recall:.3f} on {one.queries} cases"


def info_lines(manifest: Manifest, place: Path | str, kept: Sequence[Manifest]) -> Iterator[str]:
    encoder = manifest.encoder
    skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(manifest.skipped.items()))
    yield f"index        {place}"
    yield f"fingerprint  {manifest.fingerprint}"
    yield f"built        {manifest.created_at}, format {manifest.format_version}"
    yield f"version      {manifest.version}, by {manifest.made_by}"
    for other in kept:
        if other.version != manifest.version:
            yield f"  kept       {other.version} of {other.created_at}, {_studies(other.studies)}"
    yield f"source       {manifest.source}, split {manifest.split}"
    yield f"licence      {manifest.licence}"
    yield f"studies      {manifest.studies} with {_images(manifest.images)}"
    yield f"images in    {manifest.image_root or 'several places, by absolute paths'}"
    yield f"skipped      {skipped or 'none'}"
    for note, count in sorted(manifest.notes.items()):
        yield f"noted        {_studies(count)}: {note}"
    if manifest.identifiers:
        replaced = ", ".join(f"{n} {kind}" for kind, n in sorted(manifest.identifiers.items()))
        yield f"replaced     {replaced}"
    yield f"encoder      {encoder.name}, {encoder.dim} numbers, {manifest.metric}"
    yield f"weights      sha256 {encoder.weights_sha256}"
    yield f"vectors      {_vectors(manifest)}"
    if manifest.server is not None:
        yield "on the server"
        yield from served_lines(manifest)
    yield f"labeller     {manifest.labeller_version}"


def _some(count: int, one: str, several: str) -> str:
    """A number with its noun."""
    return f"{count} {one if count == 1 else several}"


def _studies(count: int) -> str:
    return _some(count, "study", "studies")


def _images(count: int) -> str:
    return _some(count, "image", "images")


def _vectors(manifest: Manifest) -> str:
    spec = manifest.vectors
    if spec.type == "exact":
        return "searched exactly"
    return (
        f"searched in {spec.probes} of {spec.lists} lists, {spec.candidates} candidates a hit; "
        f"recall {spec.recall:.3f} on {spec.queries} cases"
    )
