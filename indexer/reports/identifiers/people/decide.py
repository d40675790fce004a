"""Whether words with capitals are a name, by themselves and by what stands around them."""

import re
from collections.abc import Sequence

from indexer.reports.identifiers.people.context import Before
from indexer.reports.identifiers.people.cues import OF_STUDY
from indexer.reports.identifiers.people.follows import (
    AFTER_HEADER,
    AFTER_PERSON,
    AFTER_TOLD,
    DEGREE,
    HONORIFIC,
    IS_STAFF,
    OWNED,
    THING,
)
from indexer.reports.identifiers.people.letters import Capital
from indexer.reports.identifiers.people.lexicon import Kind, kind_of

_PATIENTS = (Before.PATIENT, Before.SUBJECT)
_PLACES = frozenset({"san", "santa", "los", "las", "saint", "st", "fort"})
"""First words of the names of places, which fevers and criteria are named after."""
_NAMED_AFTER = re.compile(
    r"(?:['’]s)? (?:syndrome|disease|sequence|signs?|fever|anomaly|procedure|operation|criteria"
    r"|scores?|classification|phenomenon|principles|textbook|atlas|needle|catheter|valve|stent"
    r"|virus|nodule)\b",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(r"(?<![\w-])(?:for|to|from|about|regarding|by) \Z")
"""English, so that what follows with capitals is no noun of another language."""
_PATRONYM = re.compile(r" (?:bin|binti|bint|ibn|nwa|ní|nic|[sd]/o) ")
_ENDS = re.compile(r"[ ,;]{0,2}(?:\[\*\*|$|\n)|\.(?:\s|$)")
"""What stands behind a signature: a date, the end of the line or of the sentence."""
_YEARS = re.compile(r"\d ?-?(?:y|ans|años|anni|jaar|anos|lat|лет|år|Jahre|jähr)", re.IGNORECASE)
_KNOWN = frozenset(
    {
        "bard max", "mary joseph", "pierre marie", "robert jones", "austin flint", "graham steell",
        "santa claus", "pierre robin", "ivor lewis", "austin moore", "charlie brown",
        "mickey mouse", "san francisco", "ann arbor", "lady windermere", "johns hopkins",
        "saint jude", "simon nitinol", "marie bamberger", "charcot marie tooth", "los angeles",
        "san diego", "louis bar", "alice in wonderland", "le fort",
    }
)  # fmt: skip
"""Names of signs, devices and places that look like a given name and a surname."""


def last_first(text: str, last: Sequence[Capital], first: Sequence[Capital], cue: Before) -> bool:
    """Return whether two pieces with a comma between are SURNAME, Given."""
    after = text[first[-1].end : first[-1].end + 40]
    if DEGREE.match(text, last[-1].end):
        return False
    if cue is Before.TITLE and len(last) > 1 and not (given(first) and last[-1].capitals):
        return False
    if cue is Before.FIELD or cue is Before.TITLE:
        return kind_of(first[0]) is not Kind.EPONYM or kind_of(last[-1]) is not Kind.EPONYM
    if THING.match(after) or kind_of(first[0]) is Kind.EPONYM:
        return False
    if cue is Before.PATIENT and text[max(0, last[0].start - 9) : last[0].start].count("**]"):
        return kind_of(last[-1]) is not Kind.EPONYM
    dotted = first[0].initial and after.startswith(".")
    if cue in (Before.ROLE, Before.PATIENT, Before.SUBJECT) and (
        kind_of(last[0]) is not Kind.EPONYM or dotted
    ):
        return first[0].initial or given(first) or bool(AFTER_HEADER.match(after))
    if first[0].initial:
        side = first[0].text in "RLTCS" and not after.startswith(".")
        alone = (after[:1] in (".", " ", "") and not side) or len(first) > 1
        return alone and listed(last[-1]) and _starts(text, last[0].start)
    if kind_of(first[0]) is Kind.GIVEN:
        return not _listing(text, first[-1].end) or _starts(text, last[0].start)
    degree = DEGREE.match(after)
    return _starts(text, last[0].start) and bool(
        AFTER_HEADER.match(after) or (degree and not degree["weak"])
    )


def accepted(text: str, piece: Sequence[Capital], cue: Before) -> bool:
    """Return whether a piece is a name by itself and by what stands around it."""
    after = text[piece[-1].end : piece[-1].end + 60]
    kinds = [kind_of(token) for token in piece]
    words = [token for token in piece if not token.initial]
    if not words or any(_redacted(token) for token in words):
        return False
    if " ".join(token.key for token in words) in _KNOWN:
        return False
    thing = bool(THING.match(after))
    eponym = Kind.EPONYM in kinds and Kind.GIVEN not in kinds
    capitals = words[0].capitals
    known = any(kind in (Kind.GIVEN, Kind.SURNAME) for kind in kinds)
    if cue in (Before.TITLE, Before.FIELD):
        return not (cue is Before.FIELD and thing and eponym) and (
            cue is Before.TITLE or known or len(words[0].text) > 3 or not capitals or len(piece) > 1
        )
    if thing and (eponym or len(words) == 1 or Kind.GIVEN not in kinds or Kind.EPONYM in kinds):
        return False
    short = capitals and len(words) == 1 and len(words[0].text) < 4 and len(piece) == 1
    if cue is Before.ROLE:
        return not short and (not capitals or known or eponym or len(piece) > 1)
    if cue is Before.RELATIVE:
        return not eponym and not short and (known or not capitals)
    if cue is Before.TOLD:
        return not short and (not eponym or person_follows(after))
    if cue is Before.DIRECT:
        return not short and not eponym
    if cue is Before.SUBJECT and not capitals:
        names = [kind for kind in kinds if kind is not Kind.INITIAL]
        if Kind.GIVEN in kinds or (len(names) > 1 and Kind.EPONYM not in names):
            return True
    if (
        len(words) > 1
        and not capitals
        and Kind.EPONYM not in kinds
        and any(listed(token) for token in words)
        and OF_STUDY.search(text[max(0, piece[0].start - 60) : piece[0].start])
    ):
        return True
    if (
        cue in (Before.NONE, Before.PATIENT)
        and len(words) > 1
        and not (capitals or thing or Kind.EPONYM in kinds)
        and all(len(token.text) > 2 for token in words)
        and _PREPOSITION.search(text, max(0, piece[0].start - 12), piece[0].start)
    ):
        return True
    if _PATRONYM.search(text, piece[0].start, piece[-1].end) and not eponym:
        return True
    if HONORIFIC.match(after) and not eponym:
        return True
    if words[-1].owner and not eponym and not capitals and OWNED.match(after):
        return True
    if cue is Before.STAFF and not eponym and (Kind.GIVEN in kinds or len(piece) > 1):
        return True
    if cue is Before.STAFF and len(words) == 1 and not eponym and not capitals:
        return _ENDS.match(after) is not None
    degree = DEGREE.match(after)
    if degree is not None and not short and (degree["comma"] or not degree["weak"] or known):
        return True
    if (AFTER_TOLD.match(after) or (IS_STAFF.match(after) and not eponym)) and not short:
        return True
    return _bare(text, piece, kinds, after, cue)


def _bare(
    text: str, piece: Sequence[Capital], kinds: Sequence[Kind], after: str, cue: Before
) -> bool:
    """Return whether a piece is a name without a word before it that says so."""
    words = [token for token in piece if not token.initial]
    given = Kind.GIVEN in kinds
    eponyms = sum(kind is Kind.EPONYM for kind in kinds)
    full = len(piece) > 1
    if eponyms == len(words) and not (full and given):
        return False
    if AFTER_PERSON.match(after) and (given or (full and not eponyms)):
        return True
    if AFTER_PERSON.match(after) and listed(words[-1]) and not words[0].capitals:
        return not eponyms
    header = AFTER_HEADER.match(after)
    alone = given and not words[0].capitals and header is not None and _YEARS.search(header[0])
    if piece[-1].text in ("M", "F") and after.startswith(" [**") and len(words) > 1:
        return not eponyms or given
    if cue in _PATIENTS and full and piece[1].initial and not eponyms:
        return text[piece[1].end : piece[1].end + 1] == "."
    if header is not None and (full or "is a" in header[0] or cue in _PATIENTS or alone):
        return not eponyms or given
    if not full or not given or words[0].key in _PLACES or _NAMED_AFTER.match(after):
        return False
    if kinds[0] is Kind.EPONYM and kinds[-1] is Kind.GIVEN and not words[0].capitals:
        return False
    if all(token.initial for token in piece[1:]) and not piece[0].capitals:
        return cue in _PATIENTS
    mixed = {token.capitals for token in words}
    if words[0].capitals and len(mixed) == 1:
        return len(words) > 1 and all(
            kind in (Kind.GIVEN, Kind.SURNAME, Kind.INITIAL, Kind.EPONYM) for kind in kinds
        )
    return len(words) > 1


def person_follows(after: str) -> bool:
    return not after.strip() or after.lstrip(" ")[:1] in ".,;()\n" or after.startswith(
        (" at ", " on ", " by ", " via ", " who", " in ", " AT ", " ON ", " BY ", " VIA ")
    )  # fmt: skip


def _listing(text: str, end: int) -> bool:
    """Return whether a comma or "and" and another capital follow."""
    after = text[end : end + 30]
    joint = next((one for one in (", and ", " and ", ", ", " or ") if after.startswith(one)), "")
    return bool(joint) and after[len(joint) : len(joint) + 1].isupper() and not DEGREE.match(after)


def _starts(text: str, start: int) -> bool:
    """Return whether a place is the start of a line or of a sentence."""
    head = text[max(0, start - 4) : start].rstrip(" \t")
    return not head or head[-1] in "\n.-|:;*"


def given(tokens: Sequence[Capital]) -> bool:
    return any(kind_of(token) is Kind.GIVEN for token in tokens)


def listed(token: Capital) -> bool:
    return kind_of(token, words=False) in (Kind.GIVEN, Kind.SURNAME)


def _redacted(token: Capital) -> bool:
    return not token.key.strip("x'-")
