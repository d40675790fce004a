"""What the words of a heading open, however they are put.

classify("IMPRESSION/RECOMMENDATION").kind        # 'impression'
classify("ABDOMEN FINDINGS").parts                # {'other'}: of another examination
classify("NDICATION").kind                        # 'indication', misspelled
"""

import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from indexer.reports.sections import english, european
from indexer.reports.sections.particulars import HEADER_LABELS, SIGNATURE_LABEL

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


_WHEN = re.compile(r"\b\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{2,4})?\b|\b\d{1,2}:\d{2}\b(?:\s?[ap]\.?m\b)?")


def plain_label(label: str) -> str:
    """Lower case without accents, brackets, numbers and marks."""
    decomposed = unicodedata.normalize("NFD", label.casefold().replace("œ", "oe"))
    text = "".join(char for char in decomposed if not unicodedata.combining(char))
    text = re.sub(r"\([^)]*\)|\[[^\]]*\]|<[^>]*>", " ", text)
    text = _WHEN.sub(" ", text)
    text = re.sub(r"[^\w\s/&+,'-]|_", " ", text)
    text = re.sub(r"(?<=\w)-(?=\w)", " ", text)
    text = re.sub(r"\s*#?\b\d{1,2}$", "", text.strip())
    return " ".join(text.split()).strip(" -,'/&+")


def _phrases() -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, phrases in english.HEADINGS.items():
        for phrase in phrases:
            found.setdefault(plain_label(phrase), kind)
    for table in european.LANGUAGES:
        for kind, listed in table.items():
            for phrase in listed.split(";"):
                found.setdefault(plain_label(phrase), kind)
    for organ in (*english.ORGANS, *european.ORGANS):
        if organ.strip():
            found.setdefault(plain_label(organ), "organ")
    for label in HEADER_LABELS:
        found.setdefault(plain_label(label), "header")
    return found


PHRASES = _phrases()
_NAMING = english.MODIFIERS | english.CHEST | english.OTHER_PARTS
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
_STRONG = frozenset(
    """
    findings impression impressions indication indications comparison comparisons technique
    conclusion
    conclusions recommendation recommendations addendum history examination
    clinical history|clinical information|clinical indication|reason for exam|reason for examination
    reason for study|findings/impression|findings and impression|impression/recommendation|exam
    befund|beurteilung|indikation|fragestellung|technik|klinische angaben|zusammenfassung
    resultats|resultat|conclusion|technique|comparaison|renseignements cliniques|hallazgos|impresion
    indicacion|tecnica|comparacion|conclusiones|referto|reperti|conclusioni|quesito clinico
    confronto
    bevindingen|conclusie|verslag|klinische gegevens|vraagstelling|techniek|beoordeling
    achados|impressao|conclusao|indicacao|comparacao|laudo|relatorio|opinion|impression and plan
    """.replace("\n", "|").split("|")
)
COMMON = frozenset(
    phrase for line in _STRONG for phrase in (line.strip(), *line.split()) if phrase in PHRASES
) - {"clinical", "reason", "plan", "exam"}


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
    own = _words_of_headings()
    return _WHEN.search(label) is not None or (
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
    if words & english.CHEST:
        another = words & english.OTHER_MODALITY and not words & english.RADIOGRAPH
        parts.add("chest by another modality" if another else "chest")
    if words & english.OTHER_PARTS:
        parts.add("other")
    if not parts and words & english.OTHER_MODALITY and not words & english.RADIOGRAPH:
        parts.add("other")
    return frozenset(parts)


def is_examination(plain: str) -> bool:
    """Whether these words are the title of an examination and nothing else."""
    words = [word for word in re.split(r"[^\w]+", plain) if word]
    named = any(word in english.RADIOGRAPH or word in english.OTHER_MODALITY for word in words)
    alone = len(words) == 1 and words[0] not in ("cxr", "trx", "radiograph", "radiografia")
    return (
        named
        and not alone
        and all(word in english.MODIFIERS or _names_part(word) or word.isdigit() for word in words)
    )


def _names_part(word: str) -> bool:
    return word in english.OTHER_PARTS or word in english.CHEST or word in ("right", "left", "both")


def _combined(plain: str) -> str | None:
    pieces = [piece for piece in CONNECTOR.split(plain) if piece]
    if len(pieces) < 2:
        return None
    kinds = [PHRASES.get(piece) or _with_modifiers(piece.split()) for piece in pieces]
    found = {kind for kind in kinds if kind is not None}
    if None in kinds and not (found and set(plain.split()) <= english.MODIFIERS | _known_words()):
        return None
    return min(found, key=_RANK.index, default=None)


@lru_cache(maxsize=1)
def _words_of_headings() -> frozenset[str]:
    phrases = (phrase for phrase, kind in PHRASES.items() if kind not in ("organ", "exam"))
    return frozenset(word for phrase in phrases for word in phrase.split()) - _NAMING


@lru_cache(maxsize=1)
def _known_words() -> frozenset[str]:
    return frozenset(word for phrase in PHRASES for word in phrase.split())


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
        or bare in english.MODIFIERS
        or bare in english.OTHER_PARTS
        or bare in english.CHEST
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


FINDINGS_NOT_HEADINGS = frozenset(
    "pneumothorax effusion effusions consolidation opacities nodules edema cardiomegaly"
    " atelectasis "
    "infiltrate infiltrates fracture fractures calcifications masses nodule right left "
    "ventilation".split()
) | {
    "pleural effusion",
    "pleural effusions",
    "pulmonary edema",
    "airspace disease",
    "free air",
    "surgical clips",
    "central line",
    "chest tube",
    "picc line",
    "support devices",
    "picc",
    "pacemaker",
    "tracheostomy",
    "hardware",
    "surgical changes",
    "postoperative changes",
    "postsurgical changes",
}
"""Named alone on a line these are findings, not headings."""
