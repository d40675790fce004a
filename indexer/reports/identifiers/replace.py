"""Replace what identifies a person in the text of a report by a mark.

    replaced = replace_identifiers("Discussed with Dr. Jane Roe, pager 12345.")
    replaced.text                       # "Discussed with Dr. [**name**], pager [**telephone**]."

The rules find what is marked as an identifier by its form or by the words around it: a title,
"signed by", "MRN". A bare name that no rule knows stays, so this is no guarantee of
de-identification. Repetitions in patterns are bounded, so time grows with the length of the text.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from indexer.reports.identifiers.names import replace_names
from indexer.reports.identifiers.numbers import PATTERNS

_LONGEST = 100_000
"""Characters that are looked at; no report has more."""


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """A text without identifiers, and how many of each kind were replaced."""

    text: str
    counts: Mapping[str, int]


def replace_identifiers(text: str) -> Replaced:
    """Replace identifiers by marks such as ``[**name**]``, which are read as redactions."""
    counts: Counter[str] = Counter()
    head, rest = text[:_LONGEST], text[_LONGEST:]
    for kind, pattern in PATTERNS:
        head, count = pattern.subn(partial(_marked, kind), head)
        if count:
            counts[kind] += count
    head, count = replace_names(head, mark("name"))
    if count:
        counts["name"] += count
    return Replaced(text=head + rest, counts=counts)


def mark(kind: str) -> str:
    """Return what stands in the place of an identifier."""
    return f"[**{kind}**]"


def _marked(kind: str, match: re.Match[str]) -> str:
    """Keep the label in front of an identifier, the group ``keep``."""
    kept = match.groupdict().get("keep") or ""
    return f"{kept}{mark(kind)}"
