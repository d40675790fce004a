"""The fingerprint of an index: a sum of the digests of its cases, hashed with its encoder.

Because digests can be added and subtracted, equal contents have equal fingerprints, whether they
were built at once or in steps, on any machine and in any order. File paths and case ids do not
count.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

from db.index.store import Case
from indexer.encoder.spec import EncoderSpec

NO_CONTENTS = "0" * 64
_MODULUS = 1 << 256


def sum_contents(cases: Iterable[tuple[Case, np.ndarray]]) -> str:
    """Sum the digests of cases and their vectors modulo 2^256; 64 hex digits."""
    total = 0
    for case, vector in cases:
        total += int(case_digest(case, vector), 16)
    return f"{total % _MODULUS:064x}"


def add_contents(first: str, second: str) -> str:
    """Return the contents of two disjoint sets of cases together."""
    return f"{(int(first, 16) + int(second, 16)) % _MODULUS:064x}"


def subtract_contents(whole: str, part: str) -> str:
    """Return the contents of ``whole`` without the cases of ``part``."""
    return f"{(int(whole, 16) - int(part, 16)) % _MODULUS:064x}"


def case_digest(case: Case, vector: np.ndarray) -> str:
    """Hash one case; hex SHA-256. The vector is rounded to float16, which every store can keep."""
    values = asdict(case)
    del values["case_id"]
    date = values.pop("study_date")
    if date is not None:
        values["study_date"] = date.isoformat()
    for image in values["images"]:
        del image["path"]
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(vector, dtype=np.float16).tobytes())
    return digest.hexdigest()


def fingerprint(contents: str, encoder: EncoderSpec) -> str:
    """Hash the contents and the encoder that embedded them; hex SHA-256."""
    spec = json.dumps(asdict(encoder), sort_keys=True)
    return hashlib.sha256(f"{contents}{spec}".encode()).hexdigest()
