"""Replace what identifies a person in the text of a report by a mark.

    replaced = replace_identifiers("Discussed with Dr. Jane Roe, pager 12345.")
    replaced.text                       # "Discussed with Dr. [**name**], pager [**telephone**]."

The rules find what is marked as an identifier by its form, by the label of its field or by the
words around it (a title, "signed by", "MRN"), and names that lists of given and family names have.
A bare name that no list has stays, so this is no guarantee of de-identification. Repetitions in
patterns are bounded, so time grows with the length of the text.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from indexer.reports.identifiers import scripts
from indexer.reports.identifiers.addresses import replace_addresses
from indexer.reports.identifiers.dates import (
    AGE,
    AGE_IN_WORDS,
    AGE_OF_PERSON,
    BIRTH_YEAR,
    DATE,
    DAY_IN_FIGURES,
    DAY_OF_YEAR,
    FIGURES,
)
from indexer.reports.identifiers.hospitals import replace_hospitals
from indexer.reports.identifiers.messages import replace_messages
from indexer.reports.identifiers.numbers import PATTERNS
from indexer.reports.identifiers.people.find import find_names
from indexer.reports.identifiers.values import replace_values

_LONGEST = 100_000
"""Characters that are looked at; no report has more."""
_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d(?:[^\d\n]{0,12}\d){2}")
"""What the patterns for numbers need."""
_TENTH_DECADE = re.compile(r"ninet|hundred", re.IGNORECASE)
_TIME = r"(?:,? \d{1,2}:\d\d(?::\d\d)?(?: ?[ap]\.?m\b\.?)?)?"
_DATE = re.compile(rf"(?<![\w/.-]){DATE}(?![\d/-]|\s?(?:mm|cm)\b){_TIME}", re.IGNORECASE)
_BESIDE_NAME = re.compile(
    r"(?P<keep>\[\*\*name\*\*\][ ,;/(|#-]{1,4}(?:ID"
    r"|No\.?)?[ #:]{0,2})(?:[A-Z]{0,3}\d{4,12}|[A-Z]{0,3}[ -]?(?=[\d-]{0,8}\d{4}|\d{2})"
    r"\d{1,8}-\d{2,8}(?:-\d{1,8}){0,2})(?![\w/.-]*\d|\w)"
)
_INITIALS = re.compile(
    r"(?m)(?P<keep>(?:^|(?<=[.\]] )|(?<=\n))[ \t]{0,3})(?!(?:PA|AP|LAT|CT|MR|AC|DC|RT|LT|OR|AND|CR"
    r"|ER|ED|IV)[/:])"
    r"(?:[A-Z]{2,4}[/:](?!nil|no|neg|pos|ok|yes|none)[a-z]{2,4}|[a-z]{2,3}/[a-z]{2,3}"
    r"|(?<=[.\]] )(?!Rt|Lt|Pa|Ap)[A-Z][a-z]{1,2}/[A-Z][a-z]{1,2}(?=\.?\s*\Z)"
    r"|[A-Z]{2,3}/[A-Z]{2,3}(?=[ \t]?\[\*\*date)"
    r"|[A-Z]{2,4}/[A-Z]{2,4}/[a-zA-Z]{2,4})(?=[ \t.]*(?:$|\n|\[\*\*|[DT]:))"
)


_IN_BRACKETS = re.compile(
    r"(?P<keep>\b(?i:addendum|amended|edited|corrected|typed|dictated|transcribed|signed|initials?"
    r"|verified|by)"
    r"[ :]{1,2}\()(?:[A-Z]{2,3}|(?:[A-Z]\.){2,3})(?=\))"
    r"|(?P<keep_by>\b(?:par|von|by|door|por|da|av|af) )(?:[A-Z]{2,4}/[a-z]{2,4})\b"
)


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """A text without identifiers, and how many of each kind were replaced."""

    text: str
    counts: Mapping[str, int]


def replace_identifiers(text: str) -> Replaced:
    """Replace identifiers by marks such as ``[**name**]``, which are read as redactions."""
    counts: Counter[str] = Counter()
    head, rest = text[:_LONGEST], text[_LONGEST:]
    others: dict[str, str] = {}
    if "[**" in head:
        head = _MARK.sub(partial(_hidden, others), head)
    if "|" in head or "^" in head:
        head, count = replace_messages(head, mark("name"))
        counts["name"] += count
    head, fields = replace_values(head, _MARKS)
    counts.update(fields)
    digits = _DIGIT.search(head) is not None
    if scripts.ANY.search(head):
        head, found = scripts.replace_scripts(head, _MARKS)
        counts.update(found)
    few = _WITH_ONE_DIGIT if digits else _WITHOUT_DIGITS
    patterns = list(PATTERNS if _DIGITS.search(head) else PATTERNS[:few])
    patterns += _WITH_DIGITS if digits else ()
    patterns += _WITH_FIGURES if FIGURES.search(head) else ()
    if _TENTH_DECADE.search(head):
        head, counts["age"] = AGE_IN_WORDS.subn(partial(_marked, "age"), head)
    for kind, pattern in patterns:
        head, count = pattern.subn(partial(_marked, kind), head)
        counts[kind] += count
    head, count = replace_addresses(head, mark("address"))
    counts["address"] += count
    head, count = replace_hospitals(head, mark("place"))
    counts["place"] += count
    head, count = _without_names(head)
    counts["name"] += count
    if count and digits:
        head, count = _BESIDE_NAME.subn(partial(_marked, "number"), head)
        counts["number"] += count
    if digits or _TENTH_DECADE.search(head):
        head, count = AGE_OF_PERSON.subn(partial(_marked, "age"), head)
        counts["age"] += count
    head, count = _INITIALS.subn(partial(_marked, "name"), head)
    counts["name"] += count
    head, count = _IN_BRACKETS.subn(partial(_marked, "name"), head)
    counts["name"] += count
    for hidden, other in others.items():
        head = head.replace(hidden, other)
    return Replaced(
        text=head + rest, counts={kind: count for kind, count in counts.items() if count}
    )


_MARK = re.compile(r"\[\*\*[^\]\n]{0,80}\*\*\]")
_PRIVATE = 0xE000
_MOST_MARKS = 6000
"""Characters of the private use area, one for each mark that was in the text before."""


def _hidden(others: dict[str, str], match: re.Match[str]) -> str:
    """Hide a mark that was in the text before, so that nothing inside it is replaced."""
    if len(others) >= _MOST_MARKS:
        return match[0]
    hidden = chr(_PRIVATE + len(others))
    others[hidden] = match[0]
    return hidden


def mark(kind: str) -> str:
    """Return what stands in the place of an identifier."""
    return f"[**{kind}**]"


_MARKS = {
    kind: mark(kind)
    for kind in ("name", "number", "date of birth", "address", "place", "telephone")
}
_WITH_DIGITS = (("date", _DATE), ("date", DAY_OF_YEAR), ("age", AGE), ("date of birth", BIRTH_YEAR))
_WITH_FIGURES = (("date", DAY_IN_FIGURES),)
_WITHOUT_DIGITS, _WITH_ONE_DIGIT = 3, 9
"""Of the patterns, those for e-mail and web addresses come first, then those for users and
machines, which need a digit; the others need three."""


def _marked(kind: str, match: re.Match[str]) -> str:
    """Keep the label in front of an identifier, the group ``keep`` or one like it."""
    groups = match.groupdict().items()
    kept = next((text for name, text in groups if name.startswith("keep") and text), "")
    return f"{kept}{mark(kind)}"


def _without_names(text: str) -> tuple[str, int]:
    spans = find_names(text)
    parts: list[str] = []
    done = 0
    for span in spans:
        parts += [text[done : span.start], mark("name")]
        done = span.end
    return "".join([*parts, text[done:]]), len(spans)
