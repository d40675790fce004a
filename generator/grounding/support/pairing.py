"""Lists that pair the attributes of one finding: "large right and small left effusions"."""

import re
from collections.abc import Iterator
from dataclasses import replace

from indexer.reports.labelling import vocabulary as words
from indexer.reports.labelling.mention import Mention, Side

BOTH: frozenset[Side] = frozenset({"left", "right"})

_PIECE = re.compile(r"[,;]|\b(?:and|with|plus)\b")


def taken_apart(
    text: str, found: tuple[Mention, ...], place: int, mention: Mention
) -> Iterator[Mention]:
    """Yield a mention once for each item of a list that pairs its attributes ("large right and
    small left"); a mention that pairs nothing stays whole."""
    several = [
        name for name, values in _values(mention).items() if len(values) > 1 and name != "size_mm"
    ] + ["size_mm"] * (len(mention.size_mm) > 1)
    if len(several) < 2:
        yield mention
        return
    start = found[place - 1].end if place else 0
    end = found[place + 1].start if place + 1 < len(found) else len(text)
    items: list[dict[str, frozenset[object]]] = []
    for piece in _PIECE.split(text[start:end].lower()):
        said = {
            name: values & _values(mention)[name]
            for name, values in _read_piece(piece).items()
            if name in several and values & _values(mention)[name]
        }
        if not items or any(items[-1].get(name, said[name]) != said[name] for name in said):
            items.append(said)
        else:
            items[-1].update(said)
    for name in several:
        if (
            frozenset().union(*(one.get(name, frozenset()) for one in items))
            != _values(mention)[name]
        ):
            yield mention
            return
    for item in items:
        changes: dict[str, object] = {name: item.get(name, frozenset()) for name in several}
        if "size_mm" in changes:
            changes["size_mm"] = tuple(
                size for size in mention.size_mm if size in item.get("size_mm", ())
            )
        yield replace(mention, **changes)  # type: ignore[arg-type]


def _values(mention: Mention) -> dict[str, frozenset[object]]:
    return {
        "sides": frozenset(mention.sides),
        "location": frozenset(mention.location),
        "degree": frozenset(mention.degree),
        "size_mm": frozenset(mention.size_mm),
    }


def _read_piece(piece: str) -> dict[str, frozenset[object]]:
    sides = {"right"} if words.RIGHT.search(piece) else set()
    if words.LEFT.search(piece):
        sides.add("left")
    sizes = set()
    for match in words.SIZE.finditer(piece):
        factor = 10 if match["unit"].startswith("c") else 1
        for number in words.NUMBER.findall(match["numbers"]):
            sizes.add(round(float(number.replace(",", ".")) * factor, 2))
    return {
        "sides": frozenset(BOTH if words.BOTH.search(piece) else sides),
        "location": frozenset(
            name for name, pattern in (*words.LOCATIONS, *words.BONES) if pattern.search(piece)
        ),
        "degree": frozenset(name for name, pattern in words.DEGREES if pattern.search(piece)),
        "size_mm": frozenset(sizes),
    }
