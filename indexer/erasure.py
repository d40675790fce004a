"""Erasing a patient: who must not be indexed again, and which other files may still hold them.

    digest = withdrawal_digest("patient", "openi", "p17")
    for file in find_remaining_files([Path("runs"), Path("data")], cases, fingerprints):
        file.path, file.what

A digest stays in the manifest when a patient is removed, so that adding the same data set again
does not bring them back. It hides an id from a reader and from a text search, not from somebody
who tries every id there is.

A removal changes the index and the application database. Adapters, examples, outputs and other
records made from a version of the index that held the patient, stored vectors, other indexes, and
application databases or their backups that cite the patient are only found and named. So are
archives, which may hold anything.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from db.app.erasure import cites
from db.errors import UserError
from db.index.store import Case, CaseStore
from indexer.index import CASES
from indexer.manifest import MANIFEST
from indexer.vectors.stored import STUDIES

_RECORDS = (".json", ".jsonl")
_BLOCK = 1 << 20
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tar.zst", ".zip", ".7z", ".bak", ".dump")
_SQLITE = b"SQLite format 3\0"


def withdrawal_digest(kind: Literal["patient", "study"], source: str, identifier: str) -> str:
    """The digest of a patient or study of a source; 64 hex digits."""
    return hashlib.sha256(f"withdrawn\0{kind}\0{source}\0{identifier}".encode()).hexdigest()


def is_withdrawn(
    withdrawals: Collection[str], source: str, study_id: str, patient_id: str | None
) -> bool:
    """Whether a study, or its patient, is among the digests."""
    if not withdrawals:
        return False
    if withdrawal_digest("study", source, study_id) in withdrawals:
        return True
    return (
        patient_id is not None and withdrawal_digest("patient", source, patient_id) in withdrawals
    )


@dataclass(frozen=True, kw_only=True)
class RemainingFile:
    """A file or folder that may still hold something of the patient."""

    path: Path
    what: str


def find_remaining_files(
    folders: Sequence[Path],
    cases: Sequence[Case],
    fingerprints: Collection[str],
    *,
    but: Collection[Path] = (),
) -> list[RemainingFile]:
    """Files in ``folders`` and below that may hold something of these cases.

    ``but`` names files and folders that were cleaned. ``fingerprints`` are those of the index
    versions that may have held the cases.
    """
    studies = {(case.source, case.study_id) for case in cases}
    cleaned = {path.resolve() for path in but}
    found: dict[Path, RemainingFile] = {}
    for folder in folders:
        for path in _files(folder, cleaned):
            what = _what(path, studies, fingerprints)
            if what is not None:
                found.setdefault(path.resolve(), RemainingFile(path=path, what=what))
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
            return "an archive, perhaps a backup: check it yourself"
        if path.name == STUDIES and _stores(path, studies):
            return "stored vectors that include such a study: export them again"
        if path.name == CASES:
            return (
                "another index that holds such a study: remove it there too"
                if _holds(path, studies)
                else None
            )
        if path.suffix in _RECORDS and path.name != MANIFEST and _names(path, fingerprints):
            return "made from an index version that may include this patient: recreate it"
        with path.open("rb") as stream:
            is_database = stream.read(len(_SQLITE)) == _SQLITE
        if is_database and cites(path, studies):
            return "a database that quotes such a study: pass it with --db, or delete it"
    except (OSError, UserError, ValueError):
        return "cannot be read: check it yourself"
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
