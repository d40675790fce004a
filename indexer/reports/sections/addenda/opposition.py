"""Which findings of a report's statement an addendum's statement leaves no room for."""

import re
from collections.abc import Collection

from db.findings import FINDING
from db.labels import NO_FINDING, State
from indexer.reports.labeller import label_sentence, mentions
from indexer.reports.labelling.mention import Mention
from indexer.reports.sections.addenda.withdrawal import Chosen

_SIDES = {
    "right": re.compile(r"\bright\b|\br[uml]l\b|\brt\b|\br\b(?= (?:lung|base))", re.I),
    "left": re.compile(r"\bleft\b|\bl[ul]l\b|\blingula|\blt\b", re.IGNORECASE),
    "both": re.compile(r"\bbilateral\w*|\bboth\b|\bbi\w*basilar\b", re.IGNORECASE),
}


def opposes(
    states: Collection[State],
    *,
    is_doubted: bool,
    sides: set[str],
    old_sides: set[str],
    corrects: bool,
    adds: bool,
) -> bool:
    """Whether what an addendum says of a finding cannot stand beside what the report says of it."""
    apart = bool(sides and old_sides and not sides & old_sides)
    if len(states) == 2 and "negative" in states and not apart:
        return True
    if is_doubted and corrects and not apart:
        return True
    moved = bool(sides and old_sides) and sides != old_sides
    return moved and corrects and not adds and "negative" not in states


def any_mention(_: Mention) -> bool:
    return True


def mentions_of(names: Collection[str], sides: Collection[str] = (), old: str = "") -> Chosen:
    """Choose the mentions of these observations, of all if none is named, on these sides.

    A mention without a side has that of its sentence ``old``.
    """
    of_sentence = sides_in(old)

    def chosen(mention: Mention) -> bool:
        if names and not {mention.finding, FINDING[mention.finding].parent} & set(names):
            return False
        return not sides or not (mention.sides or of_sentence).isdisjoint(sides)

    return chosen


def sides_of(name: str, sentence: str) -> set[str]:
    """The sides that a sentence gives an observation, else those that it names at all."""
    said: set[str] = {
        side
        for one in mentions(sentence)
        if name in (one.finding, FINDING[one.finding].parent)
        for side in one.sides
    }
    return said or sides_in(sentence)


def observations_in(sentence: str) -> dict[str, State]:
    return {name: state for name, state in label_sentence(sentence).items() if name != NO_FINDING}


def sides_in(text: str) -> set[str]:
    found = {side for side, pattern in _SIDES.items() if pattern.search(text)}
    return {"left", "right"} if "both" in found else found
