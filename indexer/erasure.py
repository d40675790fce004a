"""Erase a patient: digests that prevent re-indexing, and a search for other files with their data.

    digest = withdrawal_digest("patient", "openi", "p17")
    for file in find_remaining_files([Path("runs"), Path("data")], cases, fingerprints):
        file.path, file.what

When a patient is removed, a digest stays in the manifest, so that adding the same data set again
does not bring the patient back. It hides the id from readers and text searches, but not from an
attacker who tries every possible id.

A removal changes the index and the application database. Other files are only found and listed:
adapters, examples, outputs and other records made from a version that held the patient, stored
vectors, other indexes, other application databases that cite the patient, and archives, which may
contain anything.
"""

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from db.app.erasure import cites
from db.errors import UserError
from db.files import parse_json
from db.index.store import Case, CaseStore
from indexer.index import CASES
from indexer.manifest import MANIFEST
from indexer.vectors.stored import STUDIES

_RECORDS = (".json", ".jsonl")
_BLOCK = 1 << 20
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tar.zst", ".zip", ".7z", ".bak", ".dump")
_SQLITE = b"SQLite format 3\0"


def withdrawal_digest(kind: Literal["patient", "study"], source: str, identifier: str) -> str:
    """Hash the id of a patient or study of a source; 64 hex digits."""
    return hashlib.sha256(f"withdrawn\0{kind}\0{source}\0{identifier}".encode()).hexdigest()


def is_withdrawn(
    withdrawals: Collection[str], source: str, study_id: str, patient_id: str | None
) -> bool:
    """Return whether a study, or its patient, is among the withdrawn digests."""
    if not withdrawals:
        return False
    if withdrawal_digest("study", source, study_id) in withdrawals:
        return True
    return (
        patient_id is not None and withdrawal_digest("patient", source, patient_id) in withdrawals
    )


@dataclass(frozen=True, kw_only=True)
class RemainingFile:
    """A file or folder that may still hold data of the patient."""

    path: Path
    what: str


def find_remaining_files(
    folders: Sequence[Path],
    cases: Sequence[Case],
    fingerprints: Collection[str],
    *,
    exclude: Collection[Path] = (),
) -> list[RemainingFile]:
    """List files below ``folders`` that may hold data of these cases.

    ``exclude`` names files and folders that were cleaned already. ``fingerprints`` are those of
    index versions that may have held the cases.
    """
    studies = {(case.source, case.study_id) for case in cases}
    cleaned = {path.resolve() for path in exclude}
    found: dict[Path, RemainingFile] = {}
    for folder in folders:
        for path in _files(folder, cleaned):
            what = _what(path, studies, fingerprints)
            if what is not None:
                found.setdefault(path.resolve(), RemainingFile(path=path, what=what))
    return list(found.values())


def _files(folder: Path, exclude: Collection[Path]) -> Iterator[Path]:
    for directory, below, names in os.walk(folder):
        place = Path(directory)
        below[:] = sorted(name for name in below if (place / name).resolve() not in exclude)
        yield from (
            place / name for name in sorted(names) if (place / name).resolve() not in exclude
        )


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
    head = parse_json(path.read_text(encoding="utf-8"))
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
