"""What is said of one mention and not of its neighbour: side, place, degree, size, comparison.

Every mention has a stretch of the sentence to itself, from the separator behind the mention before
it to the separator before the mention behind it. A bare item of a list shares what is said of its
neighbour: "left effusion and atelectasis" puts both on the left.
"""

import re
from dataclasses import replace

from db.findings import FINDING, Region
from db.labels import State
from indexer.reports.labelling import vocabulary as words
from indexer.reports.labelling.mention import Certainty, Comparison, Degree, Mention, Side
from indexer.reports.labelling.text import Text
from indexer.reports.labelling.wording import Span

_SPLIT = re.compile(
    r";|\. |: |,? (?:and|or|nor|with|without|but|as well as|plus|associated with|along with"
    r"|there (?:is|are)|no|versus|vs\.?|due to|from|by|secondary to|representing|likely|probably"
    r"|possibly|(?:may|could|might) (?:represent|be|reflect)|suggest\w*|consistent with"
    r"|compatible with|concerning for|suspicious for|in addition to|following|after|status post"
    r"|overlying|which) |, ?| ?/ ?| - |\(|\)"
)
_SHARED = re.compile(
    r" ?(?:(?:,? (?:and|and/or)|,| ?/) ?(?:associated |adjacent |mild |possible )*|,? (?:or"
    r"|versus|vs\.?) (?:\w+ ){0,2})?"
)
_ADJECTIVES = re.compile(
    r"(?:[\s,]|\b(?:and|to|small|large|mild|moderate|severe|minimal|tiny|trace|new|stable"
    r"|unchanged|persistent|increasing|increased|decreasing|right|left|bilateral|loculated"
    r"|layering|partially|patchy|hazy|linear|streaky|focal|diffuse|acute|chronic|old|healed"
    r"|calcified|lower|upper|mid|middle|lobe|lung|basilar|apical|nondisplaced|displaced|irregular"
    r"|spiculated|rounded|a|an|the|dense|ill-defined|well-defined|dual|single|lead|chamber"
    r"|sided)\b)*"
)

_STOP = re.compile(
    r"\. |[,;]? (?:and |with |but )?(?:the )?(?:(?:left|right|upper|lower|middle|mid|lung|lobe"
    r"|base|apex|bases|apices|lungs|hemithorax|zone|main|bronchus|remainder|of|the) ?)+(?:is "
    r"|are |remains? |appears? )?(?:otherwise )?(?:clear|normal|unremarkable|spared|patent"
    r"|free)\b"
)
"""The end of a sentence, or a part of the chest that is called clear."""
_CLAUSE_END = re.compile(r";|\. ")
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
_TWO_SIDES = re.compile(
    r"(?P<one>[^,;]*\b(?:right|left|[rl]t)\b[^,;]*?) and (?P<two>[^,;]*\b(?:right|left"
    r"|[rl]t)\b(?!.*\bthan\b)[^;]*)"
)


class Windows:
    """The stretch of a sentence that each mention has to itself."""

    def __init__(self, plain: str, spans: list[Span]) -> None:
        self._plain = plain
        self._spans = _disjoint(spans)

    def window(self, span: Span) -> str:
        """What is said around one mention, and of it."""
        left, right = self._limits(self._index(span))
        return self._plain[left:right]

    def clause(self, span: Span) -> str:
        """The window as far as the clause goes on."""
        left, right = self._limits(self._index(span))
        end = _CLAUSE_END.search(self._plain, span.end, right)
        return self._plain[left : end.start() if end else right]

    def around(self, span: Span) -> tuple[str, str]:
        """What its window has before and behind a mention."""
        return self._parts(self._index(span))

    def shared(self, span: Span) -> tuple[str, str]:
        """What stands before the list that a bare item belongs to, and what behind it."""
        place = self._index(span)
        before, after = self._parts(place)
        first = last = place
        while first > 0 and not before.strip() and self._joined(first - 1):
            first -= 1
            before = self._parts(first)[0]
        while last + 1 < len(self._spans) and not after.strip() and self._joined(last):
            last += 1
            after = self._parts(last)[1]
        return before, after

    def _joined(self, place: int) -> bool:
        """Whether the mention at ``place`` and the next are items of one list."""
        one, other = self._spans[place : place + 2]
        return _SHARED.fullmatch(self._plain, one.end, other.start) is not None

    def _index(self, span: Span) -> int:
        return next(n for n, one in enumerate(self._spans) if one.start <= span.start < one.end)

    def _parts(self, place: int) -> tuple[str, str]:
        holder = self._spans[place]
        left, right = self._limits(place)
        return self._plain[left : holder.start], self._plain[holder.end : right]

    def _limits(self, place: int) -> tuple[int, int]:
        last = place + 1 == len(self._spans)
        right = len(self._plain) if last else self._border(place + 1)[0]
        stop = _STOP.search(self._plain, self._spans[place].end, right)
        return self._border(place)[1], stop.start() if stop else right

    def _border(self, place: int) -> tuple[int, int]:
        """Where the stretch before the mention at ``place`` ends, and where its own begins."""
        start = self._spans[place].start
        if place == 0:
            begin = max((m.end() for m in re.finditer(r";|\. ", self._plain[:start])), default=0)
            return begin, begin
        last = self._spans[place - 1].end
        splits = list(_SPLIT.finditer(self._plain, last, start))
        if not splits:
            return start, start
        chosen = splits[-1]
        if not _ADJECTIVES.fullmatch(self._plain, chosen.end(), start):
            return chosen.start(), chosen.end()
        for earlier in reversed(splits[:-1]):
            if chosen[0].strip() not in (",", "and", ", and"):
                break
            if not _ADJECTIVES.fullmatch(self._plain, earlier.end(), chosen.start()):
                break
            chosen = earlier
        return chosen.start(), chosen.end()


def _disjoint(spans: list[Span]) -> list[Span]:
    """The spans with those that overlap an earlier one left out."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if found and span.start < found[-1].end:
            found[-1] = Span(found[-1].finding, found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


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
    named = text.plain[span.start : span.end]
    comparison = _comparison(own) or _comparison(tail) or _comparison(head)
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


def _sides(stretch: str) -> frozenset[Side]:
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
