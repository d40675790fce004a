"""What a question names that is narrower than the observation it is answered with.

narrower("is there a pacemaker?", "is there a pacemaker?")
# (Narrower("Support Devices", "a pacemaker", "Pacemaker"),)

The assessment has 14 observations and reports many more findings: support devices are seen, and not
which. Every finding that rolls up to an observation of another name counts, and names of diseases
and kinds that the vocabulary reads as an observation.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from db.findings import FINDING
from db.labels import FINDINGS
from generator.grounding.answers import as_statement
from generator.grounding.support.atoms import atoms
from generator.grounding.support.hierarchy import common_name, is_generic

_SAME = frozenset({*FINDINGS, "Other Fracture", "Pleural Thickening"})
"""Findings that say no more than their observation."""
_UNCOUNTED = frozenset({"Fibrosis", "Scarring", "Bronchial Thickening", "Vascular Congestion"})
_BROADENED = frozenset({"Mass", "Infiltrate", "Other Device"})
"""What words of lay people are read as, and say less than: "a spot on the lung", "a gadget"."""
_NO_PLACE = frozenset({"focal", "diffuse"})
_LETTERS = re.compile(r"lvad|iabp|ecmo|picc", re.IGNORECASE)
"""Devices that are spelt out."""
_LESION = re.compile(r"\blesions?\b")

_NAMES: tuple[tuple[str, str, str], ...] = (
    ("Edema", r"(?:heart|cardiac|ventricular) failure|\bc[ch]f\b|\blvf\b|decompensat\w+"
     r"|failing heart|heart (?:is )?failing|in failure", "heart failure"),
    ("Edema", r"(?:fluid|volume|water)[ -]?overload\w*|overloaded", "fluid overload"),
    ("Lung Lesion", r"\bcancer\w*", "cancer"),
    ("Lung Lesion", r"\btumou?rs?\b|\bneoplas\w+|\bmalignan\w+|\b\w*carcinoma\w*", "a tumor"),
    ("Lung Lesion", r"\bmetasta\w+|\bmets\b", "a metastasis"),
    ("Lung Lesion", r"\babscess\w*", "an abscess"),
    ("Pleural Effusion", r"\bempyema|\bpus\b|\bpyothorax", "an empyema"),
    ("Pleural Effusion", r"\bblood\b|\bhem\w*thorax\b|\bhaem\w*thorax\b", "blood"),
    ("Pleural Effusion", r"\bchylothorax", "chyle"),
    ("Pneumothorax", r"\btension\b", "a tension pneumothorax"),
    ("Pneumothorax", r"\bhydro-?pneumothorax", "a hydropneumothorax"),
    ("Pneumonia", r"\btubercul\w+|\btb\b", "tuberculosis"),
    ("Pneumonia", r"\bcovid\w*|\bviral|\bvirus", "viral"),
    ("Pneumonia", r"\bbacterial", "bacterial"),
    ("Pneumonia", r"\bfung\w+", "fungal"),
    ("Pneumonia", r"\baspirat\w+", "from aspiration"),
    ("Pneumonia", r"\blobar\b", "lobar"),
    ("Lung Opacity", r"\bground[- ]?glass|\bggos?\b", "ground-glass opacity"),
    ("Lung Opacity", r"\bh(?:a)?emorrhag\w+|\bcontusion\w*", "hemorrhage"),
    ("Lung Opacity", r"\binterstitial lung disease|\bild\b", "interstitial lung disease"),
    ("Fracture", r"\bribs?\b", "a rib fracture"),
    ("Fracture", r"\bclavic\w+|\bcollar ?bones?", "a fracture of the clavicle"),
    ("Fracture", r"\bsternum|\bsternal|\bbreast ?bone", "a fracture of the sternum"),
    ("Fracture", r"\bhumer\w+|\bshoulders?\b", "a fracture of the shoulder"),
    ("Fracture", r"\bscapula\w*", "a fracture of the scapula"),
    ("Fracture", r"\bvertebra\w*|\bspin(?:e|al)\b|\bcompression", "a vertebral fracture"),
    ("Pleural Other", r"\bplaques?\b", "a pleural plaque"),
    ("Pleural Other", r"\bmesothelioma", "a mesothelioma"),
    ("Cardiomegaly", r"\b(?:ventric\w+|atri\w+|chambers?)\b", "one chamber"),
    ("Cardiomegaly", r"\bcardiomyopath\w+", "a cardiomyopathy"),
    ("Support Devices", r"\b(?:a?icds?|crt-?d|defibrillat\w+)", "a defibrillator"),
    ("Support Devices", r"\bforeign (?:bod|object)\w*|\bswallow\w+|\binhal\w+", "a foreign body"),
)  # fmt: skip
_NAMED_BY = {"a rib fracture": "Rib Fracture", "a vertebral fracture": "Vertebral Fracture"}
"""Names that are those of findings."""
_SAYS_LESS = {
    "cancer": "Neoplasm",
    "a tumor": "Neoplasm",
    "a metastasis": "Neoplasm",
    "an abscess": "Cavity",
    "a defibrillator": "Pacemaker",
    "interstitial lung disease": "Interstitial Pattern",
}
"""A name to the finding that it is read as."""
_COMPILED = tuple((label, re.compile(pattern), words) for label, pattern, words in _NAMES)


@dataclass(frozen=True)
class Narrower:
    """A term of a question, and the observation that it is a kind of."""

    label: str
    words: str
    """As in a sentence: "a pacemaker"."""
    finding: str | None = None
    """The name of the finding; None for one that reports are not read for."""


def narrower(text: str, terms: str) -> tuple[Narrower, ...]:
    """Read a question in lower case, as it was asked and in the terms of reports."""
    found = dict.fromkeys([*_found(text), *_found(terms, lay=True)])
    labels = {FINDING[one.finding].parent for one in atoms(_statement(terms))}
    for label, pattern, words in _COMPILED:
        if label in labels and pattern.search(text):
            found[Narrower(label, words, _NAMED_BY.get(words))] = None
    less = {_SAYS_LESS.get(one.words) for one in found}
    return tuple(one for one in found if one.finding is None or one.finding not in less)


def unmeasured(terms: str) -> Mapping[str, tuple[str, ...]]:
    """Observation to what a question says of it that the assessment does not: extent, place."""
    found: dict[str, set[str]] = {}
    for one in atoms(_statement(terms)):
        label = FINDING[one.finding].parent
        if label is not None and (one.degree or one.size_mm):
            found.setdefault(label, set()).add("extent")
        if label is not None and one.location - _NO_PLACE:
            found.setdefault(label, set()).add("place")
    return {label: tuple(sorted(said)) for label, said in found.items()}


def _found(text: str, *, lay: bool = False) -> Iterator[Narrower]:
    statement = _statement(text)
    for one in atoms(statement):
        label = FINDING[one.finding].parent
        wording = statement[one.start : one.end].lower()
        if label is None or one.finding in _SAME or (lay and one.finding in _BROADENED):
            continue
        if one.finding == "Mass" and _LESION.search(wording):
            continue
        if one.finding == "Other Device":
            if not is_generic(wording) and wording != "hardware":
                yield Narrower(label, _with_article(wording), one.finding)
        else:
            yield Narrower(label, _noun(one.finding), one.finding)


def _statement(text: str) -> str:
    return as_statement(text.rstrip("? ").strip())


def _noun(finding: str) -> str:
    words = common_name(finding)
    return words if finding in _UNCOUNTED else _with_article(words)


def _with_article(words: str) -> str:
    if re.search(r"[^s]s$", words):
        return words
    vowels = "aeiou"
    if _LETTERS.fullmatch(words):
        words, vowels = words.upper(), "aefhilmnorsx"
    return f"{'an' if words[0].lower() in vowels else 'a'} {words}"
