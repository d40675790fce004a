"""Wording that no attribute of a finding carries: distinguishing words and free text."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from generator.grounding.sentences import content_words
from indexer.reports.labelling.mention import Mention


def _mainly(side: str, other: str) -> str:
    """How a sentence says that one side has more of a finding."""
    more = r"(?:more(?: \w+)?|greater|larger|bigger|worse)"
    return (
        rf"\b{side}(?: side(?:d)?)? (?:is |are )?{more} than|\b{side} ?> ?{other}"
        rf"|\b(?:{more}|(?:predominant|main|most|especial|particular)ly) (?:on|at|in|towards?)"
        rf" the {side}\b|\b(?:less \w+|smaller) (?:on|at|in) the {other}\b"
    )


_QUALIFIERS: tuple[tuple[str, str], ...] = (
    ("significant", r"(?<!no )(?<!without )\bsignificant"),
    ("mainly right", _mainly("right", "left")),
    ("mainly left", _mainly("left", "right")),
    ("solitary", r"\bsolitary|\bsingle\b(?! (?:lead|chamber|view|ap|frontal|pa|portable))"),
    ("multiple", r"\bmultiple|\bmultifocal|\bnumerous|\binnumerable|\bseveral|\bscattered"),
    ("nondisplaced", r"\bnon-?\s?displaced|\bundisplaced"),
    ("comminuted", r"\bcomminuted"),
    ("biventricular", r"\bbi-?ventricular|\b(?:three|triple)[- ]lead|\(three\)"),
    ("spiculated", r"\bspiculat"),
    ("tension", r"\btension\b"),
    ("necrotic", r"\bnecro"),
    ("cystic", r"\bcystic|\bcysts?\b"),
    ("reticular", r"\breticul"),
    ("interstitial", r"\binterstitial"),
    ("alveolar", r"\balveolar"),
    ("miliary", r"\bmiliary"),
    ("ground-glass", r"\bground[- ]glass"),
    ("paraseptal", r"\bparaseptal"),
    ("jugular", r"\bjugular|\bij\b"),
    ("subclavian", r"\bsubclavian"),
    ("femoral", r"\bfemoral"),
    ("axillary", r"\baxilla"),
    ("abdominal", r"\babdom|\bupper quadrant|\bcholecyst|\bgastric (?!bubble)|\bbiliary|\brenal"),
    ("neck", r"\bneck\b|\bthyroid|\bgoiter"),
    ("breast", r"\bbreast|\bmastectom|\bnipple"),
    ("pericardial", r"\bpericard"),
    ("bypass", r"\bcabg\b|\bbypass|\bcoronary"),
    (
        "surgery",
        r"\blobectom|\bpneumonectom|\bresect|\bthoracotom|\bpost-?\s?(?:operat|surg|op\b)",
    ),
    ("dissection", r"\bdissecti"),
    ("atherosclerotic", r"\batheroscler|\barterioscler"),
    ("crowding", r"\bcrowd"),
    ("eventration", r"\beventrat"),
    ("fat", r"\bfat(?:ty)?\b|\blipoma"),
    ("air-fluid level", r"\bfluid[- ]levels?\b"),
    ("stent", r"\bstent"),
    ("fungal", r"\bfung|\bmycetoma|\baspergill"),
    ("tuberculous", r"\btubercul|\btb\b"),
    ("aspiration", r"\baspirat"),
    ("hemorrhage", r"\bh(?:a)?emorrhag|\bcontusion"),
    ("foreign body", r"\bbullet|\bforeign bod|\bshrapnel|\bfragments?\b"),
    ("acromioclavicular", r"\bacromio|\bac joint"),
    ("hyperostosis", r"\bdish\b|\bhyperostosis"),
    ("coiled", r"\bcoil|\bkink|\bloop"),
    ("malpositioned", r"\bmal-?position|\bmisplac"),
    ("fractured lead", r"\bfractured (?:lead|wire)|\b(?:lead|wire)s? (?:\w+ )?(?:fracture|broken)"),
)
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _QUALIFIERS)

_SITES = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        (
            "spinal",
            r"\bspin(?:e|al)\b|\bt-spine|\bvertebra\w*|\bpedicle|\bcervical|\blumbar|\bspondyl"
            r"|\bdisc\b|\bdisk\b|\bosteophyt|\bend-?\s?plate|\bthoraco-?lumbar|\bthoracic(?! aort)",
        ),
        ("shoulder", r"\bshoulder|\bhumer|\bacromio|\bgleno|\brotator|\bac joint"),
        ("clavicle", r"\bclavic"),
        ("abdominal", r"\babdom|\bbiliary|\bgastric|\brenal|\bureter"),
    )
)
"""Body parts of hardware and degeneration, for which mentions have no place."""

_CLAUSE = re.compile(r"\s*(?:;|\.\s|,\s+(?:and|but)\s+(?=the\b|there\b)|\bbut\b|\bhowever\b)\s*")
_DENIAL = re.compile(r"\b(?:no|not|without|never|none|absent|free of)\b|n't\b", re.IGNORECASE)


@lru_cache(maxsize=1 << 15)
def qualifiers(text: str) -> frozenset[str]:
    """Return the distinguishing words of a sentence that are no attribute of a finding."""
    return frozenset(name for name, pattern in _COMPILED if pattern.search(text))


@lru_cache(maxsize=1 << 15)
def sites(text: str) -> frozenset[str]:
    """Return the body parts that a sentence names, for hardware and degeneration."""
    return frozenset(name for name, pattern in _SITES if pattern.search(text))


def same_words(text: str, quote: str, *, part: bool = False) -> bool:
    """Whether two texts have the same content words, numbers and negation.

    With ``part``, the second may say more.
    """
    words, said = _words(text), _words(quote)
    if not words or not words <= said or (not part and words != said):
        return False
    return bool(_DENIAL.search(text)) == bool(_DENIAL.search(quote))


def leftover_clauses(text: str, found: Sequence[Mention]) -> Iterator[str]:
    """Yield the clauses of a sentence that hold none of its findings."""
    if not found:
        return
    start = 0
    for end, following in [
        *((m.start(), m.end()) for m in _CLAUSE.finditer(text)),
        (len(text),) * 2,
    ]:
        clause = text[start:end].strip(" .,;")
        inside = any(one.start < end and start < one.end for one in found)
        if not inside and len(content_words(clause)) > 1:
            yield clause
        start = following


@lru_cache(maxsize=1 << 15)
def _words(text: str) -> frozenset[str]:
    return content_words(text) | frozenset(re.findall(r"\d+(?:[.,]\d+)?", text))


_REST = re.compile(
    r"\botherwise|\bremainder|\brest of|\bremaining|\belsewhere|\bexcept|\bapart from|\bother than"
    r"|\baside from|\bno (?:other|additional|further|new)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=1 << 15)
def leaves_a_rest(text: str) -> bool:
    """Whether a denial leaves something out ("lungs are otherwise clear")."""
    return _REST.search(text) is not None


@lru_cache(maxsize=1 << 15)
def is_acute(text: str) -> bool:
    return re.search(r"\b(?:acute|active)", text, re.IGNORECASE) is not None
