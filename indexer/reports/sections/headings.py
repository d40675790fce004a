"""What a heading opens, however it is written.

classify("IMPRESSION/RECOMMENDATION").kind        # 'impression'
classify("ABDOMEN FINDINGS")                       # findings of another examination
split_headings("Cough. FINDINGS: Clear lungs.")    # [(None, 'Cough.'), (Heading..., 'Clear ...')]
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


_PHRASES = _phrases()
_NAMING = english.MODIFIERS | english.CHEST | english.OTHER_PARTS
_TWO_SENTENCES = re.compile(r"(?<!Dr)(?<!Mr)(?<!St)[.!?;]\s+[A-ZÀ-Ý](?![^(]*\))")
_CONNECTOR = re.compile(
    rf"\s*(?:/|&|\+|,| - |\b(?:and/or|and|or|with|{'|'.join(european.CONNECTORS)})\b)\s*"
)
_MISSPELLED = [
    phrase
    for phrase, kind in _PHRASES.items()
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
_STRONG_WORDS = frozenset(
    phrase for line in _STRONG for phrase in (line.strip(), *line.split()) if phrase in _PHRASES
) - {"clinical", "reason", "plan", "exam"}


@lru_cache(maxsize=8192)
def classify(label: str, *, opens_line: bool = True) -> Heading | None:
    """The heading that ``label`` is; None for words that are none.

    At the beginning of a line any wording with a word of an indication counts, and misspellings.
    """
    plain = plain_label(label)
    words = plain.split()
    if not words or len(words) > _MOST_WORDS or _TWO_SENTENCES.search(label):
        return None
    parts = body_parts(plain)
    kind = _PHRASES.get(plain)
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
    own = _known_words() - _NAMING
    return _WHEN.search(label) is not None or (
        plain_label(label) not in _PHRASES and len(words) > 1 and not own.issuperset(words)
    )


_JOINING = frozenset({"and", "or", "with", *european.CONNECTORS})


def is_plain_heading(line: str) -> bool:
    """Whether the line is one of the common headings and nothing else, in whatever case."""
    return plain_label(line) in _STRONG_WORDS and len(line.split()) < 4


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
    return named and all(
        word in english.MODIFIERS or _names_part(word) or word.isdigit() or word == "of"
        for word in words
    )


def _names_part(word: str) -> bool:
    return word in english.OTHER_PARTS or word in english.CHEST or word in ("right", "left", "both")


def _combined(plain: str) -> str | None:
    pieces = [piece for piece in _CONNECTOR.split(plain) if piece]
    if len(pieces) < 2:
        return None
    kinds = [_PHRASES.get(piece) or _with_modifiers(piece.split()) for piece in pieces]
    found = {kind for kind in kinds if kind is not None}
    if None in kinds and not (found and set(plain.split()) <= english.MODIFIERS | _known_words()):
        return None
    return min(found, key=_RANK.index, default=None)


@lru_cache(maxsize=1)
def _known_words() -> frozenset[str]:
    return frozenset(word for phrase in _PHRASES for word in phrase.split())


def _with_modifiers(words: list[str]) -> str | None:
    """The kind of the words that are left once modality, body part and state are taken off."""
    rest = [word for word in words if not _beside(word)]
    if rest and len(rest) < len(words):
        return _PHRASES.get(" ".join(rest))
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
    if re.match(r"(?:wet|prelim\w*) read", plain):
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
        return _PHRASES[close[0]] if close else None
    return None


_DECORATION = " \t*#_=<>[]{}~|•·>-"
_NUMBER = re.compile(r"\s*(?:\d{1,2}|[IVX]{1,4}|[A-H])[.)]\s+")
_SEPARATOR = re.compile(
    r"\s*(?:\([^()]{0,80}\)|\[[^\[\]]{0,80}\])?[\s*_\])>=#]*(?::[-=\s]*|-{1,2}\s|--+>?|=+>?|\s-(?=\w)|;\s)"
)
_CAPS_LABEL = re.compile(
    r"((?:[A-ZÀ-Ý][A-ZÀ-Ý/&()'-]+)(?: (?:[A-ZÀ-Ý/&][A-ZÀ-Ý/&()'-]*)){0,4}?)[ \t]+(?=\S)"
)
_VERB_NEXT = re.compile(
    r"(?:are|is|was|were|of|in|on|suggest\w*|consistent|compatible|remain\w*|have|has|with|as|may|and"
    r"|or|which|that|could|would|above|described|discussed|represent\w*|include\w*|reflect\w*|to|from"
    r"|significant|concerning|likely|unchanged|tube|line|size|pain|failure|discussed)\b",
    re.IGNORECASE,
)
_RUNNING = re.compile(
    r"(?<![\w/-])(EXAM(?:INATION)?|(?:CLINICAL )?(?:INDICATION|HISTORY|INFORMATION)|TECHNIQUE"
    r"|COMPARISON"
    r"|FINDINGS?|IMPRESSION|CONCLUSION|RECOMMENDATIONS?)(?=[ \t]+[A-Za-z0-9])(?![ \t]+(?:of|and"
    r"|is|are"
    r"|were|was|AND|IS|ARE|OF|WERE|WAS)\b)"
)
_SPACED = re.compile(r"^\W*((?:[A-Z] ){3,}[A-Z])\b(?=\W*$|\s*:)")
_SENTENCE_END = re.compile(r"[.!?;)\]]\s+|\s{3,}|\t")


def split_headings(line: str) -> list[tuple[Heading | None, str]]:
    """The line cut at its headings: each with the text that follows it on the line."""
    line = _SPACED.sub(lambda match: match[1].replace(" ", ""), line)
    if not line.isupper() and len(set(_RUNNING.findall(line))) > 1:
        line = _RUNNING.sub(r"\1:", line)
    opening, rest = _opening(line)
    found: list[tuple[Heading | None, str]] = []
    heading = opening
    while True:
        cut = _inline(rest)
        if cut is None:
            found.append((heading, rest.strip()))
            break
        start, following, end = cut
        found.append((heading, rest[:start].strip()))
        heading, rest = following, rest[end:]
    return [(head, text) for head, text in found if head is not None or text]


def _opening(line: str) -> tuple[Heading | None, str]:
    start = len(line) - len(line.lstrip(_DECORATION))
    bare = line[start:]
    if not bare or not (bare[0].isalpha() or _NUMBER.match(bare)):
        return None, line
    number = _NUMBER.match(bare)
    for skip in (0, number.end() if number else 0):
        text = bare[skip:]
        if not text[:1].isalpha():
            continue
        heading, rest = _labelled(text) or _alone(text) or _in_capitals(text) or (None, "")
        if heading is not None and (not skip or _may_be_numbered(heading)):
            return heading, rest
    return None, line


def _may_be_numbered(heading: Heading) -> bool:
    """Whether behind "2." it is a heading still, and no item of a list."""
    kinds = ("findings", "impression", "indication", "technique", "comparison", "recommendation")
    plain = plain_label(heading.label)
    return plain in _PHRASES and (heading.kind in kinds or plain in english.HEADINGS["exam"])


_COLON = re.compile(r"(?<!\d):|:(?!\d)")


def _labelled(text: str) -> tuple[Heading, str] | None:
    """A label before a colon, or before a dash that cannot be anything else."""
    found = _COLON.search(text, 1, 100)
    if found:
        colon = found.start()
        label = text[:colon]
        if (not _TWO_SENTENCES.search(label) and text[0].isupper()) or (
            text[:colon].islower() and plain_label(label) in _PHRASES
        ):
            heading = classify(label.strip(_DECORATION))
            if heading is not None:
                return heading, text[colon + 1 :].lstrip(
                    _DECORATION if text[colon + 1 : colon + 2] in "*_-=" else " \t"
                )
    dash = re.match(
        r"([A-ZÀ-Ý][^\W\d_]*(?:[ /&][^\W\d_]+){0,4})(?:\s*--?>?\s+|\s+-|;\s)(?=\S)", text
    )
    if dash:
        heading = classify(dash[1], opens_line=False)
        plain = plain_label(dash[1])
        strong = (
            dash[1].isupper() or plain in _STRONG_WORDS or (len(plain) > 5 and plain in _PHRASES)
        )
        organ = heading is not None and heading.kind == "organ" and plain not in _NO_BARE
        if organ and re.match(r"\s+--?>?\s", text[dash.end(1) :]) and plain in _PHRASES:
            return heading, text[dash.end() :]
        kinds = ("organ", "part", "header", "exam", "comment")
        if heading is not None and strong and heading.kind not in kinds:
            return heading, text[dash.end() :]
    return None


def _alone(text: str) -> tuple[Heading, str] | None:
    """A heading that has its line for itself."""
    label = text.strip(_DECORATION + ".:")
    if not label[:1].isupper() or len(label) > 70:
        return None
    short = label.isupper() and len(label.split()) < 3
    heading = classify(label, opens_line=short)
    if heading is None or heading.kind == "part":
        return None
    if heading.kind != "exam" and (_ends_in_text(label) or heading.kind == "signature"):
        return None
    if heading.kind == "organ":
        named = _CONNECTOR.split(plain_label(label))
        if text.rstrip().endswith(".") or " - " in label or not _NO_BARE.isdisjoint(named):
            return None
    return heading, ""


def _ends_in_text(label: str) -> bool:
    """Whether words behind the heading's own are text: ``HISTORY CT of 2019``."""
    plain = plain_label(label)
    if plain in _PHRASES:
        return (
            re.search(r"\d{3}|/", re.sub(r"\([^)]*\)", "", label)) is not None and "/" not in plain
        )
    last = plain.split()[-1]
    return (last in english.MODIFIERS and last not in english.CHEST) or not last.isalpha()


_NO_BARE = frozenset(
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


def _in_capitals(text: str) -> tuple[Heading, str] | None:
    """``IMPRESSION Normal chest.``"""
    match = _CAPS_LABEL.match(text)
    while match:
        heading = classify(match[1], opens_line=False)
        rest = text[match.end() :]
        strong = plain_label(match[1]) in _STRONG_WORDS
        if heading is not None and strong and not _VERB_NEXT.match(rest):
            return heading, rest
        following = _CAPS_LABEL.match(text, match.end())
        if heading is None and following and match.end() < 40:
            longer = text[: following.end()].rstrip()
            heading = classify(longer, opens_line=False)
            if heading is not None and plain_label(longer) in _STRONG_WORDS:
                return heading, text[following.end() :]
        return None
    return None


_INLINE_KINDS = frozenset(
    "indication comparison findings impression technique recommendation addendum preliminary "
    "signature notification".split()
)


def _inline(text: str) -> tuple[int, Heading, int] | None:
    """The first heading inside the text: its start, itself and where its body begins."""
    start = 0
    for colon in re.finditer(r":(?!\d)", text):
        segment = text[start : colon.start()]
        start = colon.end()
        offset = colon.start() - len(segment)
        found = _ending(segment)
        if found is not None:
            return offset + found[0], found[1], colon.end()
    return None


def _ending(segment: str) -> tuple[int, Heading] | None:
    """The heading with which these words end."""
    skipped = max(0, len(segment) - 90)
    segment = segment[skipped:]
    cut = 0
    for end in _SENTENCE_END.finditer(segment):
        cut = end.end()
    words = [(match.start(), match[0]) for match in re.finditer(r"\S+", segment)][-6:]
    for at, word in words:
        label = segment[at:].strip()
        if not word[:1].isupper():
            continue
        after_stop = at == cut and cut > 0
        heading = classify(label, opens_line=False)
        if heading is None:
            continue
        plain = plain_label(label)
        if (
            label.isupper()
            and (heading.kind in _INLINE_KINDS or heading.kind == "organ")
            and len(plain) > 2
        ):
            return skipped + at, heading
        if after_stop and (
            heading.kind in _INLINE_KINDS or (heading.kind == "organ" and plain not in _NO_BARE)
        ):
            return skipped + at, heading
        if plain in _STRONG_WORDS and heading.kind in _INLINE_KINDS and at > 0:
            return skipped + at, heading
    return None
