"""What a word with a capital is: a given name, a surname, an eponym, a word of a report."""

import re
from enum import Enum
from functools import lru_cache
from pathlib import Path

from indexer.reports.identifiers.fields import labels
from indexer.reports.identifiers.people.cues import (
    DIRECT,
    PATIENTS,
    RELATIVES,
    ROLES,
    SALUTATIONS,
)
from indexer.reports.identifiers.people.letters import PARTICLES, Capital
from indexer.reports.identifiers.people.name_lists import given_names, surnames, without_accents


def _read(name: str) -> frozenset[str]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return frozenset(text.partition("\n")[2].casefold().split())


WORDS = _read("words.txt")
"""Words of reports; some are also names ("May", "Field"), which a title or an initial decides."""
EPONYMS = _read("eponyms.txt")
"""Surnames in the names of signs, diseases, scores, devices and operations; makers of devices."""
STOP = _read("stop_words.txt")
"""Words that are no name even behind a title ("Dr. on call")."""
SURNAME_WORDS = _read("surname_words.txt")
"""Words that are names where a person is told or signs ("discussed with Rose at 3 pm")."""
_SUFFIX = re.compile(
    r".{3,}(?:ologist|ology|iatrics|ectomy|otomy|ostomy|itis|osis|oses|omas?|emia|aemia|pathy"
    r"|plasty|graphy|grams?|scopy|thorax|cardia|megaly|trophy|plasia|sclerosis|ectasis|ectasia"
    r"|[st]ions?|ments?|ness|ism|ical|ular|ities|ility|ically|ating|ated|ising|izing|ized|ised"
    r"|ably|ible|able|aceous|culosis|mycin|cillin|statin|prazole|olol|mab|nib|azole|ically)$"
)


BESIDE = ROLES | RELATIVES | PATIENTS | SALUTATIONS | DIRECT
"""Words that stand beside names and are none themselves."""


class Kind(Enum):
    """What a word with a capital is."""

    INITIAL = "initial"
    GIVEN = "given name"
    SURNAME = "surname"
    EPONYM = "eponym"
    WORD = "word of a report"
    UNKNOWN = "unknown"


def kind_of(token: Capital, *, words: bool = True) -> Kind:
    """Return what a word is; without ``words``, whether lists of names have it."""
    if token.initial:
        return Kind.INITIAL
    if not words:
        return _listed(token.key)
    if token.capitals and len(token.text) > 2 and _numbered(token.key):
        return Kind.WORD
    if "-" in token.text and _compound(token.text):
        return Kind.WORD
    return _kind(token.key)


@lru_cache(maxsize=4096)
def _numbered(key: str) -> bool:
    """Return whether a word in capitals is the label of a number (MRN, PESEL)."""
    return "number" in labels().get(key, ())


def _compound(text: str) -> bool:
    """Return whether a word is one like "HIV-positive"; "Jean-luc" is a name."""
    first, *rest = text.split("-")
    lower = any(part[:1].islower() and part in WORDS for part in rest)
    return lower and _listed(first.casefold()) is Kind.UNKNOWN


@lru_cache(maxsize=65536)
def _kind(key: str) -> Kind:
    parts = [part for part in re.split(r"-", key) if part]
    if (
        key in BESIDE
        or key in WORDS
        or (len(parts) > 1 and all(len(p) < 2 or p in WORDS for p in parts))
    ):
        return Kind.WORD
    if any(part in EPONYMS for part in re.split(r"[-']", key)):
        return Kind.EPONYM
    listed = _listed(key)
    if listed is Kind.UNKNOWN and (_SUFFIX.match(key) or (len(parts) > 1 and parts[0] in WORDS)):
        return Kind.WORD
    return listed


@lru_cache(maxsize=65536)
def _listed(key: str) -> Kind:
    if key in PARTICLES:
        return Kind.UNKNOWN
    spellings = {key, without_accents(key)}
    if any(one in given_names() or one.split("-")[0] in given_names() for one in spellings):
        return Kind.GIVEN
    if any(one in surnames() or one.split("-")[-1] in surnames() for one in spellings):
        return Kind.SURNAME
    return Kind.UNKNOWN
