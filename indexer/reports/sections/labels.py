"""What the words of a heading open, however they are put.

classify("IMPRESSION/RECOMMENDATION").kind        # 'impression'
classify("ABDOMEN FINDINGS").parts                # {'other'}: of another examination
classify("NDICATION").kind                        # 'indication', misspelled
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from indexer.reports.sections.particulars import SIGNATURE_LABEL
from indexer.reports.sections.words import anatomy, english, european
from indexer.reports.sections.words.phrases import (
    COMMON,
    PHRASES,
    WHEN,
    known_words,
    plain_label,
    words_of_headings,
)

_RANK = (
    *(
        "addendum",
        "preliminary",
        "final",
        "findings",
        "impression",
        "comment",
        "organ",
        "comparison",
    ),
    *("indication", "technique", "exam", "recommendation", "notification", "header", "signature"),
)
"""Of a combined heading the first of these kinds counts."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A heading: what it opens and which examination it names."""

    kind: str
    label: str
    parts: frozenset[str] = frozenset()
    """``chest``, ``chest by another modality``, ``other``; empty where it names no body part."""


TWO_SENTENCES = re.compile(r"(?<!Dr)(?<!Mr)(?<!St)[.!?;]\s+[A-ZÀ-Ý](?![^(]*\))")
CONNECTOR = re.compile(
    rf"\s*(?:/|&|\+|,| - |\b(?:and/or|and|or|with|{'|'.join(european.CONNECTORS)})\b)\s*"
)
_MISSPELLED = [
    phrase
    for phrase, kind in PHRASES.items()
    if len(phrase) >= 8
    and kind in ("indication", "comparison", "findings", "impression", "technique")
]
_MOST_WORDS = 9


@lru_cache(maxsize=8192)
def classify(label: str, *, opens_line: bool = True) -> Heading | None:
    """The heading that ``label`` is; None for words that are none.

    At the beginning of a line any wording with a word of an indication counts, and misspellings.
    """
    plain = plain_label(label)
    words = plain.split()
    if not words or len(words) > _MOST_WORDS or TWO_SENTENCES.search(label):
        return None
    parts = body_parts(plain)
    kind = PHRASES.get(plain)
    if kind is None and is_examination(plain):
        kind = "exam"
    kind = kind or _combined(plain) or _with_modifiers(words)
    if kind is None and opens_line:
        kind = _by_word(plain, label)
    if kind is None and parts and all(_names_part(word) for word in words):
        kind = "part"
    return None if kind is None else Heading(kind=kind, label=label.strip(), parts=parts)


def says_more(label: str) -> bool:
    """Whether a heading has words besides those that make it one: an examination, a date."""
    words = [word for word in re.findall(r"[^\W\d_]+", plain_label(label)) if word not in _JOINING]
    own = words_of_headings()
    return WHEN.search(label) is not None or (
        plain_label(label) not in PHRASES and len(words) > 1 and not own.issuperset(words)
    )


_JOINING = frozenset({"and", "or", "with", *european.CONNECTORS})


def is_plain_heading(line: str) -> bool:
    """Whether the line is one of the common headings and nothing else, in whatever case."""
    return plain_label(line) in COMMON and len(line.split()) < 4


def body_parts(plain: str) -> frozenset[str]:
    """Which examinations these words name."""
    words = set(re.split(r"[^\w]+", plain))
    parts = set()
    if words & anatomy.CHEST:
        another = words & anatomy.OTHER_MODALITY and not words & anatomy.RADIOGRAPH
        parts.add("chest by another modality" if another else "chest")
    if words & anatomy.OTHER_PARTS:
        parts.add("other")
    if not parts and words & anatomy.OTHER_MODALITY and not words & anatomy.RADIOGRAPH:
        parts.add("other")
    return frozenset(parts)


def is_examination(plain: str) -> bool:
    """Whether these words are the title of an examination and nothing else."""
    words = [word for word in re.split(r"[^\w]+", plain) if word]
    named = any(word in anatomy.RADIOGRAPH or word in anatomy.OTHER_MODALITY for word in words)
    alone = len(words) == 1 and words[0] not in ("cxr", "trx", "radiograph", "radiografia")
    return (
        named
        and not alone
        and all(word in anatomy.MODIFIERS or _names_part(word) or word.isdigit() for word in words)
    )


def _names_part(word: str) -> bool:
    return word in anatomy.OTHER_PARTS or word in anatomy.CHEST or word in ("right", "left", "both")


def _combined(plain: str) -> str | None:
    pieces = [piece for piece in CONNECTOR.split(plain) if piece]
    if len(pieces) < 2:
        return None
    kinds = [PHRASES.get(piece) or _with_modifiers(piece.split()) for piece in pieces]
    found = {kind for kind in kinds if kind is not None}
    if None in kinds and not (found and set(plain.split()) <= anatomy.MODIFIERS | known_words()):
        return None
    return min(found, key=_RANK.index, default=None)


def _with_modifiers(words: list[str]) -> str | None:
    """The kind of the words that are left once modality, body part and state are taken off."""
    rest = [word for word in words if not _beside(word)]
    if rest and len(rest) < len(words):
        return PHRASES.get(" ".join(rest))
    return None


def _beside(word: str) -> bool:
    bare = word.strip("-/&+,'")
    return (
        not bare
        or bare.isdigit()
        or bare in anatomy.MODIFIERS
        or bare in anatomy.OTHER_PARTS
        or bare in anatomy.CHEST
    )


_SPEAKS = re.compile(r"\b(?:is|are|was|were|has|have|should|may|could|shows?|no|not|read|seen)\b")


def _by_word(plain: str, label: str) -> str | None:
    if re.search(r"\b(?:wet|prelim\w*) (?:read|report|interpretation)", plain):
        return "preliminary"
    if SIGNATURE_LABEL.match(label.strip()):
        return "signature"
    if english.INDICATION_WORD.search(plain) and not english.NO_INDICATION_WORD.search(plain):
        words = label.split()
        mixed = words[0].isupper() and len(words[0]) > 2 and any(w.islower() for w in words[1:])
        named = label.strip()[:1].isupper() and len(words) <= 8 and not _SPEAKS.search(plain)
        return "indication" if named and (not mixed or "(" in label) else None
    if re.match(r"addend(?:um|a)\b|correct(?:ion|ed report)\b|amended\b", plain):
        return "addendum"
    if len(plain) >= 7 and len(plain.split()) <= 4 and label.strip()[:1].isupper():
        close = get_close_matches(plain, _MISSPELLED, n=1, cutoff=0.88)
        return PHRASES[close[0]] if close else None
    return None
