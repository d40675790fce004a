"""Verify the versions of an index on a server: files, tables, vectors and, on request, pixels.

for problem in verify_published(url, pixels=True): ...

Nothing is changed.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from db.engines.location import DatabaseUrl, shown
from db.errors import UserError
from db.index.published import PublishedVersion, version_numbers
from db.index.selection import pack_states
from indexer.index import Index
from indexer.manifest import Manifest
from indexer.published.opening import opened
from indexer.verify import IndexProblem, Progress, check_content, silently


def verify_published(
    url: DatabaseUrl, *, pixels: bool = False, progress: Progress = silently
) -> list[IndexProblem]:
    """List the problems of every kept version, the current one first.

    Raises NotFoundError if there is no index, and UserError if the server cannot be used.
    """
    problems = []
    numbers: list[int | None] = [*version_numbers(url)]
    for number in numbers or [None]:
        version = PublishedVersion.open(url, number)
        try:
            for what in _check(version, pixels=pixels, progress=progress):
                problems.append(IndexProblem(version=version.number, what=what))
        finally:
            version.close()
    return problems


def _check(version: PublishedVersion, *, pixels: bool, progress: Progress) -> Iterator[str]:
    place = shown(version.url)
    manifest = Manifest.parse(version.manifest, place)
    for name, digest in manifest.file_sha256.items():
        whole = hashlib.sha256()
        for part in version.parts(name):
            whole.update(part)
        if whole.hexdigest() != digest:
            yield f"{name} in {place} was changed: its SHA-256 does not match the manifest"
    try:
        index = opened(version)
    except UserError as error:
        yield str(error)
        return
    yield from check_content(index, pixels=pixels, progress=progress)
    yield from _check_columns(version, index)
    if manifest.server is not None and manifest.server.classes and not version.has_hnsw():
        yield f"{place} lacks the index vectors_hnsw, or it is not valid: publish again"


def _check_columns(version: PublishedVersion, index: Index) -> Iterator[str]:
    """Yield where filters on labels would find other cases than the labels say, and missing
    vectors of images."""
    ids, states = index.cases.state_table()
    packed = pack_states(states)
    with version.reading() as rows:
        for case_id in ids[rows.states() != packed]:
            yield f"the states beside the vector of case {case_id} are not those of its labels"
        kinds, counts = np.unique(packed, return_counts=True)
        if rows.image_count() != index.manifest.images:
            yield (
                f"{index.place} holds {rows.image_count()} vectors of images instead of "
                f"{index.manifest.images}"
            )
        if rows.label_sets() != dict(zip(kinds.tolist(), counts.tolist(), strict=True)):
            yield "the counts of label sets are not those of the cases"
