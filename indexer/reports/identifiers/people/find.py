"""Names of people in scripts that have capitals, found by the words around them.

Words with a capital are read in runs ("J. van der Berg"). A run is a name by what stands before it
(a title, the label of a field, "signed by", "discussed with", "her son"), by what stands behind it
(a degree, an age, "was notified"), or by itself: a given name beside a surname, SURNAME, Given. A
word of a report is no name, an eponym ("Kerley", "Swan-Ganz") only behind a title or a role.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from indexer.reports.identifiers.fields import label_start
from indexer.reports.identifiers.people.context import Before, cue_before, title_before
from indexer.reports.identifiers.people.cues import OF_STUDY, TITLES
from indexer.reports.identifiers.people.decide import (
    accepted,
    given,
    last_first,
    listed,
    person_follows,
)
from indexer.reports.identifiers.people.follows import AFTER_PERSON, AFTER_TOLD, DEGREE
from indexer.reports.identifiers.people.letters import PARTICLES, Capital, particles_before, runs
from indexer.reports.identifiers.people.lexicon import BESIDE, STOP, SURNAME_WORDS, Kind, kind_of
from indexer.reports.identifiers.people.signatures import names_by_place


@dataclass(frozen=True, slots=True)
class Person:
    """Where a name stands."""

    start: int
    end: int


def find_names(text: str) -> list[Person]:
    """Return where names of people stand, in their order."""
    found: list[Person] = []
    pieces = [piece for run in runs(text) for piece in _pieces(text, run)]
    place = 0
    while place < len(pieces):
        span, used = _name_at(text, pieces, place, found)
        if span is not None:
            found.append(span)
        place += used
    return _with_places(text, found)


def _with_places(text: str, found: list[Person]) -> list[Person]:
    """Return the names together with those known by their place; what overlaps is one name."""
    merged: list[Person] = []
    places = [Person(start, end) for start, end in names_by_place(text)]
    for one in sorted([*found, *places], key=lambda person: person.start):
        if merged and one.start < merged[-1].end:
            merged[-1] = Person(merged[-1].start, max(merged[-1].end, one.end))
        else:
            merged.append(one)
    return merged


def _pieces(text: str, run: Sequence[Capital]) -> list[list[Capital]]:
    """Split a run at its words and titles; a surname that is also a word stays by its name."""
    pieces: list[list[Capital]] = []
    current: list[Capital] = []
    label = label_start(text, run[-1].end)
    named = _named_by_words(text, run)
    for place, token in enumerate(run):
        kind = kind_of(token)
        inner = token.key in PARTICLES and current and place + 1 < len(run)
        if inner and kind_of(run[place + 1]) not in (Kind.WORD, Kind.EPONYM):
            kind = Kind.SURNAME
        if kind is Kind.WORD and (
            place >= named
            or _name_by_neighbours(text, run, place, bool(current))
            or _ends_name(text, run, place, current)
        ):
            kind = Kind.SURNAME
        if (
            kind is Kind.WORD
            or token.start >= label
            or (
                place
                and token is run[-1]
                and text.startswith((":", ".:"), token.end)
                and not listed(token)
            )
            or _labels_number(text, token)
            or (token.key in TITLES and not given(current) and not _after_particle(text, token))
        ):
            current = []
        elif current:
            current.append(token)
        else:
            current = [token]
            pieces.append(current)
    return pieces


def _labels_number(text: str, token: Capital) -> bool:
    """Return whether two or three capitals stand before a number ("RG 12.345.678-9")."""
    after = text[token.end : token.end + 12].lstrip(" .:#")
    return token.capitals and len(token.text) < 4 and (after[:1].isdigit() or after[:7] in _NUMBER)


_OF_FATHER = re.compile(r"\b(?:bin|binti|bint|ibn) $")
_NUMBER = ("[**numb", "[**tele")


def _name_by_neighbours(text: str, run: Sequence[Capital], place: int, inside: bool) -> bool:
    """Return whether a word is a name here: "Dr. May", "R. Field", "John Young", "BROWN, T."."""
    token = run[place]
    if token.key in STOP or token.key in TITLES or token.initial:
        return False
    cue = title_before(text, token.start)
    if cue is Before.TITLE:
        return True
    if token.key in SURNAME_WORDS and not token.capitals and not inside:
        after = text[token.end : token.end + 60]
        if cue_before(text, token.start) in _TOLD and _ends_person(after):
            return True
    if listed(token) and not token.capitals and not inside and token.key not in BESIDE:
        after = text[token.end : token.end + 60]
        if cue_before(text, token.start) is Before.ROLE and _ends_person(after):
            return True
    if (
        inside
        and cue is Before.NONE
        and listed(token)
        and not token.capitals
        and place + 1 < len(run)
        and kind_of(run[place + 1]) in (Kind.GIVEN, Kind.SURNAME)
    ):
        return True
    before = run[place - 1] if place else None
    if before is not None and inside and listed(token):
        if before.initial and text[before.end] == "." and text[token.end : token.end + 1] != "/":
            return True
        return kind_of(before) is Kind.GIVEN and _looks_alike(before, token)
    if listed(token):
        after = text[token.end : token.end + 12]
        if after.startswith(", ") and _is_initial_then_end(after[2:]):
            return True
        if after.startswith(", "):
            following = after[2:].split(" ")[0].strip(".,;:")
            start = token.end + 2
            word = Capital(text[start:].split(" ")[0].split("\n")[0].strip(".,;:"), start, start)
            if not following or not word.text:
                return False
            kind = kind_of(word)
            return kind is Kind.GIVEN or (
                cue is Before.FIELD and word.text[0].isupper() and kind is not Kind.WORD
            )
        if cue is Before.FIELD and place + 1 < len(run):
            return True
    return False


_TOLD = (Before.TOLD, Before.ROLE, Before.RELATIVE)


def _ends_person(after: str) -> bool:
    return person_follows(after) or bool(DEGREE.match(after) or AFTER_TOLD.match(after))


def _after_particle(text: str, token: Capital) -> bool:
    """Return whether a title stands inside a name ("bin Haji Osman")."""
    return bool(_OF_FATHER.search(text, max(0, token.start - 7), token.start))


def _named_by_words(text: str, run: Sequence[Capital]) -> int:
    """Return where in a run words that are also names are one ("Grace Long was brought in")."""
    first = next((place for place, one in enumerate(run) if one.key not in BESIDE), len(run))
    words = run[first:]
    if not 1 < len(words) < 4 or any(token.capitals or token.initial for token in words):
        return len(run)
    if any(one.key in STOP or one.key in BESIDE for one in words[1:]):
        return len(run)
    if kind_of(words[0], words=False) is not Kind.GIVEN or not listed(words[-1]):
        return len(run)
    cue = cue_before(text, words[0].start)
    acts = AFTER_PERSON.match(text, words[-1].end)
    if acts and (_ONLY_PEOPLE.match(text, words[-1].end) or cue in _OF_PERSON):
        return first
    if cue in (*_TOLD, Before.FIELD) and person_follows(text[words[-1].end :][:60]):
        return first
    if any(kind_of(one) is Kind.WORD and one.key not in SURNAME_WORDS for one in words):
        return len(run)
    head = text[max(0, words[0].start - 60) : words[0].start]
    return first if acts or OF_STUDY.search(head) else len(run)


_OF_PERSON = (Before.SUBJECT, Before.PATIENT, Before.TITLE, Before.FIELD)
_ONLY_PEOPLE = re.compile(
    r",? (?:was born|attended|presents with|presented with|complains|denies|fell|lives|smokes)\b"
)


def _ends_name(text: str, run: Sequence[Capital], place: int, current: Sequence[Capital]) -> bool:
    """Return whether a word is the last of a name that a field or a title begins."""
    token = run[place]
    if not current or token is not run[-1] or token.capitals or token.initial:
        return False
    if len(current) < 2 and kind_of(current[0], words=False) is not Kind.GIVEN:
        return False
    if token.key in STOP or token.key in TITLES or token.key in BESIDE or not listed(token):
        return False
    after = text[token.end : token.end + 2]
    if after.strip(" ") and after[0] not in ".,;)\n":
        return False
    cue = cue_before(text, current[0].start)
    return cue is Before.TITLE or (len(current) > 1 and cue in (Before.FIELD, Before.ROLE))


def _is_initial_then_end(after: str) -> bool:
    return len(after) > 1 and after[0].isupper() and after[1] == "."


def _looks_alike(one: Capital, other: Capital) -> bool:
    return one.capitals == other.capitals


def _name_at(
    text: str, pieces: Sequence[list[Capital]], place: int, found: Sequence[Person]
) -> tuple[Person | None, int]:
    """Return the name that begins with a piece, and how many pieces it takes up."""
    piece = pieces[place]
    start = particles_before(text, piece[0].start)
    cue = cue_before(text, start)
    if cue is Before.NONE and start != piece[0].start:
        start = piece[0].start
        cue = cue_before(text, start)
    if found and _joined_to(text, found[-1], start):
        cue = max(cue, Before.DIRECT)
    following = pieces[place + 1] if place + 1 < len(pieces) else None
    if following is not None and text[piece[-1].end : following[0].start] in (
        ", ",
        ",",
        ",  ",
        " , ",
    ):
        both = [*piece, *following]
        if len(piece) <= 3 and len(following) <= 3 and last_first(text, piece, following, cue):
            return Person(start, both[-1].end), 2
    if accepted(text, piece, cue):
        return Person(start, piece[-1].end), 1
    return None, 1


def _joined_to(text: str, span: Person, start: int) -> bool:
    gap = text[span.end : start]
    return len(gap) < 8 and gap.strip(" ,") in ("and", "und", "et", "y", "e", "en", "&", "i", "og",
                                                 "och", "ja", "ve", "и", "/")  # fmt: skip
