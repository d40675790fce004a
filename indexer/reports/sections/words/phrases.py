"""The phrases of all headings, by what they open.

PHRASES["clinical history"]       # 'indication'
plain_label("Klinische Angaben:")  # 'klinische angaben', as the keys are spelt
"""

import re
import unicodedata
from functools import lru_cache

from indexer.reports.sections.particulars import HEADER_LABELS
from indexer.reports.sections.words import anatomy, english, european

WHEN = re.compile(r"\b\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{2,4})?\b|\b\d{1,2}:\d{2}\b(?:\s?[ap]\.?m\b)?")


def plain_label(label: str) -> str:
    """Lower case without accents, brackets, numbers and marks."""
    decomposed = unicodedata.normalize("NFD", label.casefold().replace("œ", "oe"))
    text = "".join(char for char in decomposed if not unicodedata.combining(char))
    text = re.sub(r"\([^)]*\)|\[[^\]]*\]|<[^>]*>", " ", text)
    text = WHEN.sub(" ", text)
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
    for organ in (*anatomy.ORGANS, *european.ORGANS):
        if organ.strip():
            found.setdefault(plain_label(organ), "organ")
    for label in HEADER_LABELS:
        found.setdefault(plain_label(label), "header")
    return found


PHRASES = _phrases()
_NAMING = anatomy.MODIFIERS | anatomy.CHEST | anatomy.OTHER_PARTS
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


@lru_cache(maxsize=1)
def words_of_headings() -> frozenset[str]:
    phrases = (phrase for phrase, kind in PHRASES.items() if kind not in ("organ", "exam"))
    return frozenset(word for phrase in phrases for word in phrase.split()) - _NAMING


@lru_cache(maxsize=1)
def known_words() -> frozenset[str]:
    return frozenset(word for phrase in PHRASES for word in phrase.split())


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
