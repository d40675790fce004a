"""Checks on report text: repeated wording, comparison with earlier images, identifiers.

The identifier patterns find obvious cases only, so no match does not prove that a text is
de-identified.
"""

import hashlib
import re
from collections.abc import Iterator

_WORD = re.compile(r"[^\W_]+")
_NO_COMPARISON = re.compile(r"none|no prior", re.IGNORECASE)

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
IDENTIFIER_PATTERNS: dict[str, re.Pattern[str]] = {
    "mark of a de-identifier": re.compile(r"\bx{3,}\b|_{2,}|\[\*\*", re.IGNORECASE),
    "date": re.compile(
        r"\b\d{1,2}[/.-]\d{1,2}[/.-](?:19|20)?\d\d\b|\b(?:19|20)\d\d-\d\d-\d\d\b"
        rf"|\b{_MONTH} \d{{1,2}},? (?:19|20)\d\d\b|\b\d{{1,2}}\.? {_MONTH} (?:19|20)\d\d\b",
        re.IGNORECASE,
    ),
    "time of day": re.compile(
        r"\b[012]?\d:[0-5]\d\b|\b1?\d ?(?:a\.m\.|p\.m\.|am\b|pm\b)", re.IGNORECASE
    ),
    "name after a title": re.compile(
        r"\b(?:Dr|Drs|Mr|Mrs|Ms|Prof|Doctor|Nurse)\b\.? (?:[A-Z]\. ?)?[A-Z][a-z]+"
    ),
    "telephone number": re.compile(r"(?<!\d)(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?!\d)"),
    "e-mail address": re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}\.[\w.]{2,63}\b"),
    "record or accession number": re.compile(
        r"\b(?:MRN|accession|medical record)\b\D{0,20}\d{4}|(?<![\d.])\d{7,}(?![\d.])",
        re.IGNORECASE,
    ),
    "age of 90 or more": re.compile(
        r"\b(?:9\d|1[01]\d)[ -]?(?:years?|yrs?|y\.?/?o\b|yo\b)", re.IGNORECASE
    ),
}
"""Kind of identifier, or trace of its removal, to the pattern that finds it."""

_LONGEST = 100_000


def exact_digest(text: str) -> bytes:
    """Digest a text, ignoring differences in white space."""
    return hashlib.sha256(" ".join(text.split()).encode()).digest()[:16]


def words_digest(text: str) -> bytes:
    """Digest the words of a text, ignoring case and punctuation."""
    return hashlib.sha256(" ".join(_WORD.findall(text.lower())).encode()).digest()[:16]


def has_comparison(comparison: str) -> bool:
    """Return whether a comparison section says anything other than "none" or "no prior"."""
    return bool(comparison.strip()) and _NO_COMPARISON.search(comparison) is None


def identifier_kinds(text: str) -> Iterator[str]:
    """Yield the kinds of `IDENTIFIER_PATTERNS` found in a text."""
    for kind, pattern in IDENTIFIER_PATTERNS.items():
        if pattern.search(text, 0, _LONGEST):
            yield kind
