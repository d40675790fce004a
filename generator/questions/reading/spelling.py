"""Misspelt and cut-off words of a question, put right where they mean a word of chest X-rays.

respell("any plural effussion or consol?")      # "any pleural effusion or consolidation?"

A word is taken as it is if it is one of English: the vocabulary of the sentence encoder tells. Any
other word becomes the nearest word of findings, organs and devices, compared by sound and letters.
"""

import re
from difflib import SequenceMatcher
from functools import cache, lru_cache

from db.errors import NotFoundError
from db.findings import ALL_FINDINGS
from generator.questions.reading.vocabulary import is_known
from indexer.encoder.weight_files import TEXT_PACKAGE, package_file
from indexer.reports.spelling import LONG_WORDS

LEAST_ALIKE = 0.8
"""Share of letters in common, of the sounds of two words, from which one is the other misspelt."""
SHORTEST = 4
"""Letters of the shortest word that is corrected."""

_WORD = re.compile(rf"(?<![\w-])[A-Za-z]{{{SHORTEST},}}(?![\w-])")
_OWN_WORDS = """
    abnormal abnormality airspace antibiotics aorta apex apical atelectasis bilateral bones
    broken cardiac cardiomegaly catheter chest clavicle clear collapse collapsed consolidation
    costophrenic device diaphragm effusion emphysema empyema enlarged exclude fracture fractured
    frontal hemopneumothorax pyothorax thoracostomy
    granuloma heart hernia hilum hyperinflated infiltrate intubated lateral lesion lung lungs
    malignancy masses mediastinal mediastinum medication medicine nasogastric nodule opacities
    opacity pacemaker pleura pleural pneumonia pneumothoraces pneumothorax prognosis pulmonary
    radiograph rib ribs scarring scoliosis shadow silhouette spine surgery swollen symptoms
    thickened thorax trachea treatment tuberculosis tumor tumour unremarkable widened xray
""".split()
_HEARD_AS = (
    (r"^(?:pn|kn|gn)", "n"),
    (r"^n(?:ew|oo|u)m", "neum"),
    (r"ph", "f"),
    (r"ae|oe", "e"),
    (r"y", "i"),
    (r"[ck]+", "k"),
    (r"[zx]", "s"),
    (r"(.)\1", r"\1"),
)
_SHORT = {"pneumo": "pneumothorax"}
"""Words cut off so early that they could be several, and the one that is meant."""
_AS_ENGLISH = {
    "clare": "clear",
    "fluide": "fluid",
    "hart": "heart",
    "plural": "pleural",
    "their": "there",
}
"""Misspellings that are words as well, where what `_MEANT` has follows."""
_MEANT = re.compile(
    r"\s+(?:ef|fluid|thick|plaqu|surf|spac|is\b|look|too\b|size|en|in\b|on\b|a\b|an\b|any\b|r?ound"
    r"|around|big)|\s*(?:\?|$)",
    re.IGNORECASE,
)


def respell(text: str) -> str:
    """The text with its misspelt words of chest X-rays put right."""

    def right(match: re.Match[str]) -> str:
        word = match[0]
        if word[0].isupper() and not word.isupper() and match.start() > 0:
            return word  # a name
        low = word.lower()
        if low in _SHORT:
            return _SHORT[low]
        if low in _AS_ENGLISH and _MEANT.match(text, match.end()):
            return _AS_ENGLISH[low]
        return _nearest(low) or word

    return _WORD.sub(right, text)


@lru_cache(maxsize=1 << 12)
def _nearest(word: str) -> str | None:
    """The word of chest X-rays that a word is misspelt or cut off from; None for any other."""
    stems = {word, word.removesuffix("s"), word.removesuffix("ly")}
    if word in _english() or is_known(word) or stems & _vocabulary().keys():
        return None
    base = word.removesuffix("ing")
    if base != word and not _english().isdisjoint({base, f"{base}e", f"{base}ed", f"{base}es"}):
        return None
    begun = [known for known in _vocabulary() if known.startswith(word) and known != f"{word}s"]
    if begun:
        return min(begun, key=lambda known: (known not in _OWN_WORDS, len(known)))
    sound = _sound(word)
    matcher = SequenceMatcher(b=sound, autojunk=False)
    best, most = None, LEAST_ALIKE
    for known, heard in _vocabulary().items():
        if abs(len(known) - len(word)) > 3:
            continue
        matcher.set_seq1(heard)
        if matcher.quick_ratio() >= most and (alike := matcher.ratio()) >= most:
            best, most = known, alike
    return best


def _sound(word: str) -> str:
    for letters, heard in _HEARD_AS:
        word = re.sub(letters, heard, word)
    return word


@cache
def _vocabulary() -> dict[str, str]:
    """Words of chest X-rays to their sounds, sorted: of two as near, the same is always taken."""
    told = " ".join(f"{one.name} {one.definition}" for one in ALL_FINDINGS).lower()
    words = {*LONG_WORDS, *_OWN_WORDS, *re.findall(r"[a-z]{6,}", told)}
    return {word: _sound(word) for word in sorted(words)}


@cache
def _english() -> frozenset[str]:
    """Words that are spelt as they should be; empty without the package of the sentence encoder."""
    try:
        lines = package_file(TEXT_PACKAGE, "model/vocab.txt").read_text(encoding="utf-8")
    except NotFoundError:
        return frozenset()
    return frozenset(lines.split())
