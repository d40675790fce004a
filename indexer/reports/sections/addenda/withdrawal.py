"""What is left of a statement once some of its findings are withdrawn.

    rest, taken = without_findings("Right effusion and left nodule.", is_effusion)
    rest       # "Left nodule."

The words of a finding are cut out at the separators of its list, so that what stays is read as
before: the same findings with the same state and attributes, or, where there is no such cut, at
least with the same state. Where neither can be had, the whole statement goes.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from indexer.reports.labeller import mentions
from indexer.reports.labelling.mention import Mention
from indexer.reports.labelling.spans import SEPARATOR

Chosen = Callable[[Mention], bool]
"""Whether a mention is withdrawn."""

_WORD = re.compile(r"(?<=[\s(])(?=\w)")
_MOST_WORDS = 60
"""Of a sentence that is cut; a longer one is withdrawn whole."""


def without_findings(sentence: str, chosen: Chosen) -> tuple[str, str]:
    """Return what stays of a sentence and what is taken from it.

    All of it is taken if it has nothing but chosen findings, or none.
    """
    rest, taken = sentence, []
    while any(chosen(one) for one in mentions(rest)):
        found = mentions(rest)
        cut = _cut(rest, found, chosen)
        if cut is None:
            return "", sentence
        start, end = cut
        taken.append(rest[start:end].strip(" ,;"))
        rest = _tidy(rest, start, end)
    return (rest, " ... ".join(taken)) if taken else ("", sentence)


def _cut(text: str, found: Sequence[Mention], chosen: Chosen) -> tuple[int, int] | None:
    """The stretch to take out for the first run of chosen mentions; None if there is none."""
    first = next(place for place, one in enumerate(found) if chosen(one))
    after = first
    while after < len(found) and chosen(found[after]):
        after += 1
    kept = (*found[:first], *found[after:])
    if not kept or len(text.split()) > _MOST_WORDS:
        return None
    exact = [_said(one) for one in kept]
    states = [(one.finding, one.state) for one in kept]
    loose: tuple[int, int] | None = None
    for start, end in _stretches(text, found, first, after):
        read = mentions(_tidy(text, start, end))
        if [_said(one) for one in read] == exact:
            return start, end
        if loose is None and [(one.finding, one.state) for one in read] == states:
            loose = start, end
    return loose


def _stretches(
    text: str, found: Sequence[Mention], first: int, after: int
) -> Iterator[tuple[int, int]]:
    """Yield stretches that name the mentions from ``first`` up to ``after``, the best first."""
    lower = text.lower()
    begin, stop = found[first].start, found[after - 1].end
    before = found[first - 1].end if first else 0
    behind = found[after].start if after < len(found) else len(text)
    left = [(one.start(), one.end()) for one in SEPARATOR.finditer(lower, before, begin)]
    right = [(one.start(), one.end()) for one in SEPARATOR.finditer(lower, stop, behind)]
    if first:
        for start, _ in left:
            yield from ((start, end) for end in (*(one for one, _ in right), stop, len(text)))
    else:
        starts = [0, *(word.start() for word in _WORD.finditer(text, 0, begin)), begin]
        yield from ((start, end) for start in starts for _, end in reversed(right))
    # "heart and lungs are normal"
    subjects = [(0, 0), *((one.start(), one.end()) for one in SEPARATOR.finditer(lower, 0, begin))]
    for (start, opening), (closing, end) in pairwise(subjects):
        yield from ((start, closing), (opening, end)) if opening else ((opening, end),)
    start, opening = subjects[-1]
    yield from ((start, word.start() - 1) for word in _WORD.finditer(text, opening, begin))


def _tidy(text: str, start: int, end: int) -> str:
    rest = f"{text[:start].rstrip(' ,;')}{' ' if start else ''}{text[end:].lstrip(' ,;')}"
    rest = re.sub(r"\s+([.,;])", r"\1", " ".join(rest.split()))
    if not start and text[:1].isupper():
        rest = rest[:1].upper() + rest[1:]
    return rest if rest.endswith((".", "!", "?")) or not text.endswith(".") else f"{rest}."


def _said(mention: Mention) -> Mention:
    """The mention wherever it stands; that it compares with an earlier image may go."""
    return replace(mention, start=0, end=0, comparison=frozenset())
