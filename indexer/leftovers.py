"""Where else a removed patient may be: files that a removal does not change, to be named.

for trace in find_traces([Path("runs"), Path("data")], cases, fingerprints):
    trace.path, trace.what

Looked for are adapters, examples, outputs and other records made from a version of the index that
held him, stored vectors, other indexes, and application databases or backups of them that cite him.
Archives cannot be looked into; they are named because they may hold anything.
"""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from db.app.citing import cites
from db.errors import UserError
from db.index.store import Case, CaseStore
from indexer.index import CASES
from indexer.manifest import MANIFEST
from indexer.vectors.stored import STUDIES

_RECORDS = (".json", ".jsonl")
_BLOCK = 1 << 20
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tar.zst", ".zip", ".7z", ".bak", ".dump")
_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A file or folder that may still hold something of the patient."""

    path: Path
    what: str


def find_leftovers(
    folders: Sequence[Path],
    cases: Sequence[Case],
    fingerprints: Collection[str],
    *,
    but: Collection[Path] = (),
) -> list[Leftover]:
    """Traces of these cases in ``folders`` and below; what is in the folders and files ``but`` was
    cleaned. ``fingerprints`` are those of the index versions that may have held them."""
    studies = {(case.source, case.study_id) for case in cases}
    cleaned = {path.resolve() for path in but}
    found: dict[Path, Leftover] = {}
    for folder in folders:
        for path in _files(folder, cleaned):
            what = _what(path, studies, fingerprints)
            if what is not None:
                found.setdefault(path.resolve(), Leftover(path=path, what=what))
    return list(found.values())


def _files(folder: Path, but: Collection[Path]) -> Iterator[Path]:
    for directory, below, names in os.walk(folder):
        place = Path(directory)
        below[:] = sorted(name for name in below if (place / name).resolve() not in but)
        yield from (place / name for name in sorted(names) if (place / name).resolve() not in but)


def _what(
    path: Path, studies: Collection[tuple[str, str]], fingerprints: Collection[str]
) -> str | None:
    try:
        if path.name.lower().endswith(_ARCHIVES):
            return "an archive, which may be a backup: look into it yourself"
        if path.name == STUDIES and _stores(path, studies):
            return "stored vectors with the vector of such a study: write them anew"
        if path.name == CASES:
            return (
                "another index that holds such a study: remove it there too"
                if _holds(path, studies)
                else None
            )
        if path.suffix in _RECORDS and path.name != MANIFEST and _names(path, fingerprints):
            return "made from a version of this index that may have held him: make it anew"
        with path.open("rb") as stream:
            is_database = stream.read(len(_SQLITE)) == _SQLITE
        if is_database and cites(path, studies):
            return "a database with quotes from such a study: give it with --db, or delete it"
    except (OSError, UserError, ValueError):
        return "cannot be read: look into it yourself"
    return None


def _stores(path: Path, studies: Collection[tuple[str, str]]) -> bool:
    head = json.loads(path.read_text(encoding="utf-8"))
    return any((head["source"], study["study_id"]) in studies for study in head["studies"])


def _holds(path: Path, studies: Collection[tuple[str, str]]) -> bool:
    with CaseStore.open(path) as cases:
        return any(cases.find_all(source, [study_id]) for source, study_id in studies)


def _names(path: Path, fingerprints: Collection[str]) -> bool:
    wanted = [fingerprint.encode() for fingerprint in fingerprints]
    longest = max(map(len, wanted), default=0)
    with path.open("rb") as stream:
        end = b""
        while block := stream.read(_BLOCK):
            end += block
            if any(fingerprint in end for fingerprint in wanted):
                return True
            end = end[-longest:]
    return False
