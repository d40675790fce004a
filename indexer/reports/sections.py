"""Report text: sections, sentences, and what in a sentence does not carry over to another image.

Every pattern here is linear in the length of the text: reports come from files and from the wire.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sections:
    """The sections that are kept; a section that the report does not have is empty.

    Technique, recommendation, notification and preliminary reads are dropped: they speak of the
    machine or of people. The comparison names other images: it is counted, never indexed.
    """

    indication: str = ""
    comparison: str = ""
    findings: str = ""
    impression: str = ""


_HEADINGS = {
    "indication": (
        "indications?",
        "clinical indications?",
        "(?:clinical )?history",
        "clinical (?:information|data|statement)",
        "reason for (?:the )?(?:exam(?:ination)?|study)",
        "patient history",
    ),
    "findings": (
        "findings?",
        "findings? ?(?:and|/|&) ?impressions?",
        "observations?",
        "report",
        "description",
    ),
    "impression": (
        "impressions?",
        "conclusions?",
        "opinion",
        "summary",
        "interpretation",
        "addendum",
    ),
    "comparison": (
        "comparisons?",
        "compared? (?:with|to)",
    ),
    "": (
        "techniques?",
        "exam(?:ination)?(?: type)?",
        "study",
        "procedure",
        "views?",
        "date(?: of exam)?",
        "wet read",
        "recommendations?(?:\\(s\\))?",
        "notifications?",
        "final report",
        "preliminary report",
    ),
}
_HEADING = re.compile(
    r"(?<![\w-])(?:"
    + "|".join(
        f"(?P<{name or 'dropped'}>{'|'.join(sorted(patterns, key=len, reverse=True))})"
        for name, patterns in _HEADINGS.items()
    )
    + r")[ \t]{0,4}(?P<end>:|(?=\r?\n|$))",
    re.IGNORECASE,
)
_PARAGRAPH = re.compile(r"\n[ \t\r]{0,200}\n\s*")
_LINE_BREAK = re.compile(r"\n\s*")
_LIST_MARK = re.compile(r"(?:\(?\d{1,2}[.)](?!\d)|[-*•–·])\s*(?=\S)")
_SHORT_LINE = 45
"""A line of fewer characters than this was ended on purpose, not wrapped by a text editor."""


def split_sections(text: str) -> Sections:
    """Split free report text at its headings; without any heading all of it is findings.

    Wrapped lines are joined, so a section need not be a substring of the text; line breaks that
    mean something (paragraphs, list items) stay. In reports without a FINDINGS heading (frequent
    in MIMIC-CXR) an unheaded paragraph before the impression is taken as findings. Text before the
    first heading counts likewise, except for title lines in capitals.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    headings = [match for match in _HEADING.finditer(text) if _is_heading(text, match)]
    parts: dict[str, list[str]] = {name: [] for name in _HEADINGS if name}
    unheaded = [_without_titles(text[: headings[0].start()] if headings else text)]
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for match, end in zip(headings, ends, strict=False):
        body = text[match.end() : end].strip()
        name = _section_of(match)
        if name in ("findings", "impression"):
            parts[name].append(body)
            continue
        first, *rest = _PARAGRAPH.split(body)
        unheaded.extend(rest)
        if name:
            parts[name].append(first)
    if not any(parts["findings"]):
        parts["findings"] = unheaded
    return Sections(
        **{
            name: "\n".join(filter(None, (_unwrap(body) for body in bodies)))
            for name, bodies in parts.items()
        }
    )


def _section_of(match: re.Match[str]) -> str:
    return next(name for name in _HEADINGS if match[name or "dropped"] is not None)


def _is_heading(text: str, match: re.Match[str]) -> bool:
    """A heading opens a line, or stands in capitals, or follows the end of a sentence."""
    before = text[max(0, match.start() - 40) : match.start()]
    line = before.rpartition("\n")[2]
    word = match[0]
    opens_line = not line.strip(" \t*#_")
    if match["end"] != ":":
        return opens_line and word[0].isupper()
    return opens_line or word.isupper() or (word[0].isupper() and line.rstrip()[-1:] in ".!?;")


def _without_titles(text: str) -> str:
    lines = text.split("\n")
    return "\n".join(line for line in lines if not (line.isupper() and len(lines) > 1))


def _unwrap(text: str) -> str:
    lines: list[str] = []
    for paragraph in _PARAGRAPH.split(text.strip()):
        start = len(lines)
        for line in paragraph.split("\n"):
            line = " ".join(line.split())
            if len(lines) > start and _is_wrapped(lines[-1], line):
                lines[-1] += f" {line}"
            elif line:
                lines.append(line)
    return "\n".join(lines)


def _is_wrapped(line: str, following: str) -> bool:
    """Whether the line break between two lines is a mere wrap inside one sentence."""
    if not following or _LIST_MARK.match(following):
        return False
    return following[0].islower() or (len(line) >= _SHORT_LINE and line[-1] not in ".!?:;")


_ABBREVIATIONS = frozenset(
    "dr drs mr mrs ms prof st vs e.g i.e eg ie approx cf resp fig incl ca".split()
)
_TITLES = ("dr", "drs", "mr", "mrs", "ms", "prof")
_STOP = re.compile(r"[.!?]+[\"')\]]?(?=\s|$|[A-Z][a-z])")
_UNIT = re.compile(r"\s{1,3}\d+\s?(?:cm|mm|x)\b")
_ITEM = re.compile(r"(?<=\s)\(?(\d{1,2})[.)]\s*(?=[A-Z])")
_WORD_BEFORE = re.compile(r"[^\s(]{1,40}$")


def split_sentences(text: str) -> list[str]:
    """The sentences in order, each a verbatim substring of the text.

    Numbers and bullets of list items are left off; a line break ends a sentence unless it wraps
    one. Pieces without a letter or digit are left out.
    """
    sentences = []
    start = 0
    for end in [*_ends(text), len(text)]:
        piece = text[start:end]
        start = end
        sentence = piece.strip()
        if mark := _LIST_MARK.match(sentence):
            sentence = sentence[mark.end() :]
        if any(char.isalnum() for char in sentence) and not re.fullmatch(r"\(?\d+[.)]?", sentence):
            sentences.append(sentence)
    return sentences


def _ends(text: str) -> list[int]:
    ends = {match.end() for match in _STOP.finditer(text) if _is_stop(text, match)}
    for match in _LINE_BREAK.finditer(text):
        line = (
            text[max(0, match.start() - _SHORT_LINE) : match.start()].rpartition("\n")[2].rstrip()
        )
        following = text[match.end() : match.end() + 8]
        if match[0].count("\n") > 1 or not line or not _is_wrapped(line, following):
            ends.add(match.end())
    number = 0
    for match in _ITEM.finditer(f" {text}"):
        if int(match[1]) == number + 1:
            number += 1
            ends.add(match.start() - 1)
    return sorted(ends - {0, len(text)})


def _is_stop(text: str, match: re.Match[str]) -> bool:
    before = _WORD_BEFORE.search(text, max(0, match.start() - 40), match.start())
    word = before[0].lower() if before else ""
    if match[0] != ".":
        return True
    if word in _ABBREVIATIONS:
        return False
    if word in ("a.m", "p.m", "etc"):
        return text[match.end() : match.end() + 2].strip()[:1].isupper()
    if len(word) == 1 and word.isalpha():
        title = text[max(0, match.start() - 8) : match.start() - 1].strip().lower()
        return not title.endswith(tuple(f"{name}." for name in _TITLES))
    if word.isdigit() and _opens_item(text, match.start() - len(word)):
        return False
    return not (word.isdigit() and _UNIT.match(text, match.end(), match.end() + 12))


def _opens_item(text: str, start: int) -> bool:
    """Whether what starts here is the number of a list item."""
    before = text[max(0, start - 200) : start].rstrip(" \t(")
    return (not before and start < 200) or before[-1:] in "\n.!?;:"


_IMAGE = (
    r"(?:stud(?:y|ies)|exam\w*|films?|radiograph\w*|x-?rays?|images?|imaging|ct|scans?|reports?|"
    r"comparisons?|chest)"
)
_HISTORY = (
    r"(?:surg\w+|operat\w+|\w+otomy|\w+ectomy|cabg|bypass|\w*plasty|replacement|repair|fusion|"
    r"trauma|injur\w+|insult|fractures?|granulomatous|histoplasmosis|infection|inflammat\w+|"
    r"tuberculosis|tb|pneumonias?|disease|radiation|radiotherapy|exposure|history|procedures?|"
    r"resection|biopsy|intervention|smok\w+)"
)
_HISTORICAL = re.compile(
    rf"\b(?:prior|previous|earlier)\s(?:(?!{_IMAGE}\b)[\w/-]+[\s,]{{1,2}}){{0,4}}?{_HISTORY}\b"
    r"|\b(?:h(?:a)?emodynamically|clinically) stable|\bpatient (?:is |remains )?stable"
    r"|\bstable (?:condition|patient)"
    r"|\bcompared (?:to|with) (?:the )?(?:left|right|other|opposite|contralateral)\b"
    r"|\bfor comparison\b.{0,40}\b(?:not|unavailable|none)\b|\bno (?:\w+ ){0,3}comparison\b"
    r"|\binterval (?:follow|radiograph)|\bsymptoms? (?:persist|worsen)"
)
_PRIOR = re.compile(
    r"\b(?:unchanged|stabl[ey]|stability|compared|comparisons?|compare|prior|priors|previous(?:ly)?"
    r"|interval|interim|since|no longer|again|re-?demonstrat\w+|still|persist\w*|remain(?:s|ed"
    r"|ing)?"
    r"|new|newly|now|yesterday|baseline|evolving|worsen\w*|worse|resol(?:ved|ving|ution)"
    r"|progress\w*"
    r"|improv(?:ed|ing|ement)|increasing|decreasing|enlarging|similar|formerly|recurrent"
    r"|earlier (?:today|film|stud|exam|radiograph|x-?ray)\w*"
    r"|last (?:film|study|exam\w*|radiograph|x-?ray|week|month|year)"
    r"|old (?:films?|studies|radiographs)"
    r"|(?:has|have) (?:\w+ ){0,2}?(?:changed|cleared|increased|decreased|developed|appeared|grown)"
    r"|(?:in|de)creased (?:(?:in )?size|from)|as before|(?:larger|smaller) than"
    r"|(?:no|without|not|any) (?:\w+ ){0,3}?changed?\b|change from"
    r"|(?:has|have) (?:\w+ )?been (?:\w+ )?(?:removed|placed|exchanged|advanced|withdrawn)"
    r"|decreased (?:right|left|bilateral|pleural|effusion|pneumothorax))\b"
)


def refers_to_prior(sentence: str) -> bool:
    """Whether the sentence compares with an earlier image, so that it cannot be true of another.

    Old surgery and old disease ("prior granulomatous disease") are history, not comparison.
    """
    text = " ".join(sentence.lower().split())
    return _PRIOR.search(_HISTORICAL.sub(" ", text)) is not None


_REDACTION = re.compile(r"\bx{3,}\b|_{2,}|\[\*\*", re.IGNORECASE)


def has_redaction(sentence: str) -> bool:
    """Whether a de-identifier took words out: ``XXXX``, ``___`` or ``[** **]``."""
    return _REDACTION.search(sentence) is not None
