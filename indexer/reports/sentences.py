"""Sentences of a report, and what in one does not carry over to another image.

Every pattern here is linear in the length of the text: reports come from files and from the wire.
"""

import re

from indexer.reports.labelling.vocabulary import BETWEEN_PLACES
from indexer.reports.lines import LIST_MARK, SHORT_LINE, is_wrapped

_LINE_BREAK = re.compile(r"\n\s*")
_ABBREVIATIONS = frozenset(
    "dr drs mr mrs ms prof st vs pat e.g i.e eg ie approx cf fig incl ca evid signif sig poss prob"
    " susp "
    "sugg def assoc esp excl susp'd poss'y".split()
)
"""What follows belongs to them, so that their stop ends nothing."""
_SHORTENED = frozenset(
    """
    neg pos resp bilat lat med ant post inf sup ext int mod min max sev abn norm calc cath degen
    diff elev enl eff fx infil infilt atel opac mult prev prom rt lt hx pt pts comp incr decr pulm
    card
    mediast pleur thor vert spon sl slt cm mm kg lb hr hrs wk wks mo mos yr yrs sec in req dept
    tel temp
    exam eval f/u r/o b/l w wo w/o h/o c/o unch stab chr acut pneum consol subseg cardiomeg congest
    nod lymph diaph hemi peric cong insp exp radiol clin indic dx tx rx path bx nl wnl ll rll lll
    rul lul
    rml ul port
    """.split()
)
"""Their stop ends nothing before a lower-case word or a preposition, or where they stand first."""
_ADJECTIVES = frozenset("rt lt r l bilat lat post ant inf sup med max min mod mult".split())
"""Of these, what says something of the next word and so ends no sentence at its beginning."""
_SIDED = re.compile(
    r"\s*(?:pleural|pneumoth|effus|atelect|lung|lower|upper|mid|bas[ei]|basal|ap(?:ex|ical)|hil|peri-?"
    r"hil|para|retro|supra|infra|hemi|costo|cp\b|cost|rib|clavic|shoulder|humer|scapul|subclav|intern"
    r"|ij\b|jugular|picc|chest|port|pacem|breast|arm\b|lobe|main|lateral|side|ventric|atri|pulmon"
    r"|infiltrat|opaci|nodul|consolid|pneumonia|mass|granul|scar)",
    re.IGNORECASE,
)
"""What "right" and "left" stand before."""
_IN_TWO = frozenset("e.g i.e z.n z.b s.p st.p v.a d.h u.a".split())
"""Abbreviations that may be written with a space ("st. p.", "Z. n."); what follows is theirs."""
_IN_TWO_LAST = frozenset("o.b p.a a.p p.m a.m".split())
"""The same, and they may end a sentence."""
_SECOND_LETTER = re.compile(r"\s([A-Za-z])\.")
_FIRST_PART = re.compile(r"(?:^|[\s(])([A-Za-z]{1,2})\.\s?$")
_SENTENCE_BEFORE = re.compile(r"(?:^|[.!?;:\n]\s*|\d[.)]\s*|[-*\u2022]\s*)$")
_GOES_ON = re.compile(
    r"\s*(?:[a-z\d(]|(?:FOR|OF|TO|IN|AT|ON|WITH|AND|OR|FROM|BY|THE|IS|ARE|SIZE)\b)"
)
_TITLES = ("dr", "drs", "mr", "mrs", "ms", "prof")
_STOP = re.compile(r"[.!?]+[\"')\]]?(?=\s|$|[A-Z][a-z])")
_UNIT = re.compile(r"\s{1,3}\d+\s?(?:cm|mm|x)\b")
_ITEM = re.compile(r"(?<=\s)\(?(\d{1,2})[.)]\s*(?=[A-Z])")
_WORD_BEFORE = re.compile(r"[^\s(]{1,40}$")
_ANSWER = re.compile(r"\s{1,3}(?:none|no|nil|neg|absent)(?:[.,;]|\s*$)", re.IGNORECASE)
"""What answers a question of one's own: "Fractures? None." is one sentence."""


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
        if mark := LIST_MARK.match(sentence):
            sentence = sentence[mark.end() :]
        if any(char.isalnum() for char in sentence) and not re.fullmatch(r"\(?\d+[.)]?", sentence):
            sentences.append(sentence)
    return sentences


def _ends(text: str) -> list[int]:
    ends = {match.end() for match in _STOP.finditer(text) if _is_stop(text, match)}
    for match in _LINE_BREAK.finditer(text):
        line = text[max(0, match.start() - SHORT_LINE) : match.start()].rpartition("\n")[2].rstrip()
        following = text[match.end() : match.end() + 8]
        if match[0].count("\n") > 1 or not line or not is_wrapped(line, following):
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
    following = text[match.end() : match.end() + 12]
    if match[0].startswith("?") and (not word or _ANSWER.match(following)):
        return False  # a mark with no word before it doubts what follows: "? effusion"
    if match[0] != ".":
        return not (match[0].startswith("..") and following.lstrip()[:1].islower())
    if word in _ABBREVIATIONS:
        return False
    if word in _SHORTENED or re.fullmatch(r"[a-z](?:\.[a-z])+|[rlsw]", word):
        start = match.start() - len(word)
        first = not any(char.isalnum() for char in text[:start][-40:])
        if _GOES_ON.match(following) or (first and following.strip()):
            return False
        if word in _ADJECTIVES and following.strip():
            if _SENTENCE_BEFORE.search(text, max(0, start - 8), start):
                return False
            is_noun = text[:start].rstrip()[-4:].lower().strip() == "the"
            if word in ("rt", "lt", "r", "l") and not is_noun and _SIDED.match(following):
                return False
    if word in ("a.m", "p.m", "etc"):
        return text[match.end() : match.end() + 2].strip()[:1].isupper()
    if word == "no" and following.strip()[:1].isdigit():
        return False  # a number, not an answer
    if len(word) == 1 and word.isalpha():
        second = _SECOND_LETTER.match(following)
        if second and f"{word}.{second[1].lower()}" in _IN_TWO | _IN_TWO_LAST:
            return False
        first_part = _FIRST_PART.search(text, max(0, match.start() - 6), match.start() - 1)
        both = f"{first_part[1].lower()}.{word}" if first_part else ""
        if both in _IN_TWO or (both in _IN_TWO_LAST and following.lstrip()[:1].islower()):
            return False
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

    Old surgery and old disease ("prior granulomatous disease") are history, and "more prominent on
    the right" compares two sides.
    """
    text = " ".join(sentence.lower().split())
    return _PRIOR.search(_HISTORICAL.sub(" ", BETWEEN_PLACES.sub(" ", text))) is not None


_FIELD = (
    r"(?:PERSON|PATIENT|DOCTOR|PHYSICIAN|PROVIDER|STAFF|NAME|FIRST_?NAME|LAST_?NAME|DATE|TIME|DATE_?TIME"
    r"|DOB|AGE|LOCATION|ADDRESS|STREET|CITY|STATE|ZIP|COUNTRY|HOSPITAL|FACILITY|ORG(?:ANI[SZ]ATION)?"
    r"|PHONE|FAX|EMAIL|CONTACT|ID|MRN|SSN|ACCESSION|USERNAME|URL|PHI|PII|VENDOR|INITIALS)"
)
_REDACTION = re.compile(
    r"\b[xX]{3,}\b|_{2,}|\[\*\*|\*{3,}|#{3,}|@{3,}|&{3,}|[\u2588\u2587\u25a0]+|\{\{|\*\*[A-Z]{2,}|<<\s?\w"
    r"|<[A-Z][A-Z0-9_ -]{1,40}>|</?(?i:person|name|date|redacted|removed|phi|patient"
    r"|doctor)\b[^<>]{0,40}>"
    rf"|[\[({{]\s?(?:{_FIELD}(?:[ _-]?\w{{1,20}}){{0,2}}|(?i:(?:patient |first |last"
    rf" )?name|date))\s?[\])}}]"
    r"|[\[({](?i:\s?(?:\w{1,12} )?(?:(?:de-?)?identified|redacted|removed|deleted|masked"
    r"|anonymi[sz]ed"
    r"|hidden|censored|withheld)\s?)[\])}]"
    rf"|\b{_FIELD}_[A-Z0-9_]+\b|\b[A-Z]+_NAME\b|[%$~]{_FIELD}[%$~]|\bREDACTED\b"
)
"""The marks of MIMIC, i2b2, Open-I, Philter, Presidio and of plain templates."""


def has_redaction(sentence: str) -> bool:
    """Whether a de-identifier took words out: ``XXXX``, ``___``, ``[** **]``, ``<PERSON>`` ..."""
    return _REDACTION.search(sentence) is not None
