"""What is said of one mention and not of its neighbour: side, place, degree, size, comparison.

Each is read from the stretch of the sentence that a mention has to itself (``spans.Windows``).
"""

import re
from dataclasses import replace

from db.findings import FINDING, Region
from db.labels import State
from indexer.reports.labelling import vocabulary as words
from indexer.reports.labelling.mention import Certainty, Comparison, Degree, Mention, Side
from indexer.reports.labelling.spans import Windows
from indexer.reports.labelling.text import Text, blank
from indexer.reports.labelling.wording import Span

_BOTH: tuple[Side, ...] = ("left", "right")
_SIDE_OF_TIP = re.compile(r"(?:\b(?:left|right|mid|lower|upper|proximal|distal|main) )*$")
_TIPPED = frozenset(
    {
        "Endotracheal Tube", "Tracheostomy Tube", "Enteric Tube", "PICC", "Port Catheter",
        "Central Venous Catheter", "Pulmonary Artery Catheter", "Chest Tube", "Pacemaker",
        "Other Device",
    }
)  # fmt: skip
"""Devices that end somewhere."""
_SIDED_TIPS = frozenset({"brachiocephalic vein", "pulmonary artery"})
"""Ends that have a side of their own: a right line may end in the left brachiocephalic vein."""
_OTHER_SIDE = re.compile(r"\bcompared (?:to|with) (?:\w+ ){0,4}?(?:right|left)\b")
_DIRECTION = re.compile(
    r"\b(?P<ward>right|left)ward\b|\bto(?:wards?)? (?:the )?(?P<to>right|left)\b"
    r"|\b(?P<noun>right|left) (?:(?:tracheal|mediastinal|midline) )?(?:shift|deviat|displac)"
    r"|\b(?:shift\w*|deviat\w+|displac\w+) (?P<adverb>right|left)\b"
)
_AWAY = re.compile(r"\baway from (?:the )?(right|left)\b")
"""Where something is displaced to, whatever else the sentence has on a side."""
_TWO_SIDES = re.compile(
    r"(?P<one>[^,;]*\b(?:right|left|[rl]t)\b[^,;]*?) and (?P<two>[^,;]*\b(?:right|left"
    r"|[rl]t)\b(?!.*\bthan\b)[^;]*)"
)


def describe(
    text: Text, windows: Windows, span: Span, state: State, certainty: Certainty
) -> tuple[Mention, ...]:
    """The mention with all that its stretch of the sentence says of it.

    "Large right and small left effusions" are two, one a side.
    """
    own = windows.window(span)
    head, tail = windows.shared(span)
    is_device = FINDING[span.finding].region == "devices"
    tips = _values(words.TIPS, own) if span.finding in _TIPPED else frozenset[str]()
    clause = windows.clause(span)
    place = _without_tips(clause) if is_device else clause
    sides = _sides(place)
    region = FINDING[span.finding].region
    location = _location(own, region)
    if not sides:
        sides = _sides(_without_tips(head)) or _sides(_without_tips(tail))
    if not location and not is_device:
        location = _location(head, region) or _location(tail, region)
        location -= {"focal", "diffuse"}
    if span.finding == "Scoliosis":  # its side is its kind
        sides = frozenset()
    elif span.finding == "Mediastinal Shift":
        sides = _direction(own) or sides
    named = text.plain[span.start : span.end]
    comparison = _comparison(own) or _comparison(tail) or _comparison(head + named)
    if state == "negative":
        if "resolved" in comparison:
            comparison = {"removed" if is_device else "resolved"}
    else:
        comparison -= {"resolved", "removed"}
    if len(comparison) > 1:
        comparison.discard("changed")
    start, end = text.span(span.start, span.end)
    mention = Mention(
        finding=span.finding,
        state=state,
        start=start,
        end=end,
        certainty=certainty,
        sides=sides,
        location=location,
        tip=tips,
        degree=_degree(own),
        size_mm=_sizes(own),
        comparison=frozenset(comparison),
        age=frozenset(a for a, pattern in words.AGES if pattern.search(own)),
        kind=_values(words.KINDS, own) | _of_name(span.finding, named),
    )
    for stretch in windows.around(span):
        if (match := _TWO_SIDES.fullmatch(stretch)) and not is_device:
            return _apart(mention, match["one"], match["two"])
    return (mention,)


def _apart(mention: Mention, one: str, two: str) -> tuple[Mention, ...]:
    """One mention a side, where the two differ in more than the side."""
    if "lobe" in two and "lobe" not in one:
        one += " lobe"
    region = FINDING[mention.finding].region
    parts = tuple(
        replace(
            mention,
            sides=_sides(half),
            location=_location(half, region) or mention.location,
            degree=_degree(half) or _degree(one) or mention.degree,
            comparison=frozenset(_comparison(half)) or mention.comparison,
        )
        for half in (one, two)
    )
    sides = [part.sides for part in parts]
    same = replace(parts[0], sides=mention.sides) == replace(parts[1], sides=mention.sides)
    return (mention,) if same or sides[0] == sides[1] else parts


def _values(table: tuple[tuple[str, re.Pattern[str]], ...], stretch: str) -> frozenset[str]:
    return frozenset(value for value, pattern in table if pattern.search(stretch))


def _direction(stretch: str) -> frozenset[Side]:
    words = {word for match in _DIRECTION.finditer(stretch) for word in match.groups() if word}
    left = {match[1] for match in _AWAY.finditer(stretch)}
    return frozenset(side for side in _BOTH if side in words) or (
        frozenset(side for side in _BOTH if side not in left) if len(left) == 1 else frozenset()
    )


def _sides(stretch: str) -> frozenset[Side]:
    stretch = _OTHER_SIDE.sub(" ", stretch)
    if words.BOTH.search(stretch):
        return frozenset({"left", "right"})
    sides: set[Side] = set()
    if words.RIGHT.search(stretch):
        sides.add("right")
    if words.LEFT.search(stretch):
        sides.add("left")
    return frozenset(sides)


def _without_tips(stretch: str) -> str:
    """The side of a line is where it enters, not where it ends."""
    for name, pattern in words.TIPS:
        if name not in _SIDED_TIPS:
            stretch = pattern.sub(" ", stretch)
            continue
        for match in reversed(list(pattern.finditer(stretch))):
            before = _SIDE_OF_TIP.sub("", stretch[: match.start()])
            stretch = f"{before} {stretch[match.end() :]}"
    return stretch


def _degree(stretch: str) -> frozenset[Degree]:
    return frozenset(value for value, pattern in words.DEGREES if pattern.search(stretch))


def _comparison(stretch: str) -> set[Comparison]:
    stretch = blank(words.BETWEEN_PLACES, stretch)
    return {value for value, pattern in words.COMPARISONS if pattern.search(stretch)}


def _location(stretch: str, region: Region) -> frozenset[str]:
    """Places in the lungs, or bones where the finding is one of bones: a rib is else a"
    " landmark."""
    if region != "bones":
        return _values(words.DEVICE_PLACES if region == "devices" else words.LOCATIONS, stretch)
    found = set(_values((*words.LOCATIONS, *words.BONES), stretch))
    for match in words.RIB_NUMBER.finditer(stretch):
        if match["word"]:
            found.add(f"rib {words.ORDINAL[match['word']]}")
        else:
            found |= {f"rib {number}" for number in _numbers(match[0])}
    found |= {f"{m['level']}{m['number']}" for m in words.VERTEBRA.finditer(stretch)}
    return frozenset(found)


def _numbers(text: str) -> list[int]:
    """The numbers of "5th, 6th", and those in between of "5-7" or "5 through 7"."""
    numbers = [int(number) for number in re.findall(r"\d{1,2}", text)]
    if len(numbers) == 2 and re.search(r"\d(?:th|rd|nd|st)? ?(?:-|to|through) ?\d", text):
        return list(range(numbers[0], numbers[1] + 1))
    return numbers


def _sizes(stretch: str) -> tuple[float, ...]:
    sizes: list[float] = []
    for match in words.SIZE.finditer(words.EARLIER_SIZE.sub(" ", stretch)):
        factor = 10 if match["unit"].startswith("c") else 1
        numbers = words.NUMBER.findall(match["numbers"]) + (
            [match["second"]] if match["second"] else []
        )
        sizes += [round(float(number.replace(",", ".")) * factor, 2) for number in numbers]
    return tuple(sizes)


def _of_name(finding: str, named: str) -> set[str]:
    """What the CheXpert labeler does not count under the parent of the finding."""
    if finding == "Vertebral Fracture" and "fractur" not in named:
        return {"deformity"}
    is_faint = re.search("densit|haziness", named) and not re.search("increas|air", named)
    if finding == "Lung Opacity" and is_faint:
        return {"density"}
    return set()
