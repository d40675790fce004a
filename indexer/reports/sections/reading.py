"""Where the reading of a report stands, and what has been placed so far."""

import re
from dataclasses import dataclass, field

SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-ZÀ-Ý(])")
NUMBER = re.compile(r"(?:^|\s)\(?(\d{1,2})[.)](?!\d)")


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Words of a report and where they belong."""

    section: str
    said: str
    new_paragraph: bool = False
    same_line: bool = False
    """Whether it continues the line of what was placed before it in this section."""
    reason: str = ""
    """``unplaced``: under no heading; ``misplaced``: under one that it does not fit."""
    addendum: int = 0
    """Which addendum it is part of, from 1; 0 for the report itself."""
    replaces: bool = False
    """Whether it stands under a heading of its own in a corrected report."""
    preliminary: bool = False
    examination: int = 0
    parts: frozenset[str] = frozenset()
    """Body parts of its examination, as `headings.body_parts` names them."""


@dataclass
class State:
    """Where the reading stands."""

    slot: str = ""
    reason: str = ""
    empty: bool = True
    """Whether nothing stands under the present heading yet."""
    blank: bool = False
    addendum: int = 0
    corrected: bool = False
    """Whether the addendum calls itself a corrected report."""
    replaces: bool = False
    on_top: bool = False
    """Whether the addendum stands before the report."""
    preliminary: str = ""
    """``block`` until the next heading, ``sticky`` until a final report; empty otherwise."""
    examination: int = 0
    parts: dict[int, set[str]] = field(default_factory=lambda: {0: set()})
    listed: bool = False
    """Whether the recommendation has a list of its own."""
    last_number: int = 0
    """Of the list in the impression."""


class Reading:
    """The lines placed so far, and where the next one would go."""

    def __init__(self) -> None:
        self._now = State()
        self._placed: list[Placed] = []
        self._seen: set[tuple[str, int, int, bool]] = set()

    def _add(self, section: str, said: str, *, reason: str = "", same_line: bool = False) -> None:
        if not has_words(said):
            return
        now = self._now
        self._placed.append(
            Placed(
                section=section,
                said=said.strip(),
                new_paragraph=now.blank or now.empty,
                same_line=same_line,
                reason=reason,
                addendum=now.addendum,
                replaces=now.replaces,
                preliminary=bool(now.preliminary),
                examination=now.examination,
            )
        )
        self._seen.add((section, now.examination, now.addendum, bool(now.preliminary)))
        now.empty = False
        if section == "impression":
            for number in NUMBER.finditer(said):
                if int(number[1]) == now.last_number + 1:
                    now.last_number += 1

    def _has(self, *sections: str) -> bool:
        now = self._now
        here = (now.examination, now.addendum, bool(now.preliminary))
        return any((section, *here) in self._seen for section in sections)

    def _go(self, slot: str, reason: str = "") -> None:
        self._now.slot, self._now.reason, self._now.empty = slot, reason, True
        self._now.listed = False


_BLANKED = re.compile(r"\W*_{2,5}\W*")


def has_words(text: str) -> bool:
    """Whether a line says something; a redaction does, a ruled line does not."""
    return any(char.isalnum() for char in text) or _BLANKED.fullmatch(text) is not None
