"""Who is not to be indexed again: digests, from which no name or number can be read.

A digest stays in the manifest when a patient is removed, so that the next addition of the same
data set does not bring him back. It hides an id from a reader and from a text search, not from
somebody who tries every id there is.
"""

import hashlib
from collections.abc import Collection
from typing import Literal


def withdrawal(kind: Literal["patient", "study"], source: str, identifier: str) -> str:
    """The digest of a patient or study of a source; 64 hex digits."""
    return hashlib.sha256(f"withdrawn\0{kind}\0{source}\0{identifier}".encode()).hexdigest()


def is_withdrawn(
    withdrawals: Collection[str], source: str, study_id: str, patient_id: str | None
) -> bool:
    """Whether a study, or its patient, is among the digests."""
    if not withdrawals:
        return False
    if withdrawal("study", source, study_id) in withdrawals:
        return True
    return patient_id is not None and withdrawal("patient", source, patient_id) in withdrawals
