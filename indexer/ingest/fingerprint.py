"""What an index holds, as one number: a sum of digests that cases are added to and taken from.

Equal content gives an equal fingerprint whatever way it came there: built at once or piece by
piece, on whatever machine, in whatever order. File paths and case ids are left out.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

from db.index.store import Case
from indexer.encoder.spec import EncoderSpec

NOTHING = "0" * 64
_MODULUS = 1 << 256


def contents_of(cases: Iterable[tuple[Case, np.ndarray]]) -> str:
    """The sum, modulo 2^256, of the digests of cases with their vectors; 64 hex digits."""
    total = 0
    for case, vector in cases:
        total += int(case_digest(case, vector), 16)
    return f"{total % _MODULUS:064x}"


def joined(first: str, second: str) -> str:
    return f"{(int(first, 16) + int(second, 16)) % _MODULUS:064x}"


def less(whole: str, part: str) -> str:
    return f"{(int(whole, 16) - int(part, 16)) % _MODULUS:064x}"


def case_digest(case: Case, vector: np.ndarray) -> str:
    """Hex SHA-256; the vector counts as float16, which every kind of store keeps."""
    values = asdict(case)
    del values["case_id"]
    for image in values["images"]:
        del image["path"]
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(vector, dtype=np.float16).tobytes())
    return digest.hexdigest()


def fingerprint(contents: str, encoder: EncoderSpec) -> str:
    """Hex SHA-256 over what is held and the encoder that embedded it."""
    spec = json.dumps(asdict(encoder), sort_keys=True)
    return hashlib.sha256(f"{contents}{spec}".encode()).hexdigest()
