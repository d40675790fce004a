"""Where a sentence words findings, and the stretch of it that each mention has to itself.

A stretch goes from the separator behind the mention before it to the separator before the mention
behind it. A bare item of a list shares what is said of its neighbour: "left effusion and
atelectasis" puts both on the left.
"""

import re
from collections.abc import Iterable

from indexer.reports.labelling.devices import BREAKS, DEVICES
from indexer.reports.labelling.lungs import AIR, LUNGS, PLEURA_AND_LUNG
from indexer.reports.labelling.text import blank
from indexer.reports.labelling.thorax import CHEST, FRACTURES
from indexer.reports.labelling.wording import Span, Wording

_GROUPS = (LUNGS, AIR, PLEURA_AND_LUNG, CHEST, FRACTURES, DEVICES)
_SEPARATE = (PLEURA_AND_LUNG, CHEST)
"""Groups whose findings may share words: a hydropneumothorax is two."""

_HIDES = {
    ("Granuloma", "Lymphadenopathy"),
    ("Granuloma", "Aortic Calcification"),
    ("Pleural Thickening", "Aortic Calcification"),
    ("Consolidation", "Lung Opacity"),
    ("Atelectasis", "Lung Opacity"),
}
"""The exact name and the general one that it hides where both match one wording."""

SEPARATOR = re.compile(
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
_CAUSE = re.compile(
    r" (?:by (?!\d)|due to|secondary to|because of|caused by|as a result of|resulting from)\b"
    r"[^,;.()]*"
)
"""What follows lies somewhere of its own: "tracheal deviation by a left thyroid mass"."""
_APPOSITION = re.compile(
    r"(?: ?(?:\(|, | - )| (?:in|at|over|with|overlying|within|ending|terminating) [^,;.()]{1,60}\()"
    r"(?:[\w-]+ ){0,3}"
)
_GENERIC = re.compile(r"(?:devices?|generator|leads?|catheters?|tub(?:e|ing)|lines?)")


def find_spans(plain: str, organs: Iterable[Span]) -> list[Span]:
    """The findings worded in a sentence, and those of its organs, in the order of the text."""
    found = list(organs)
    for group in _GROUPS:
        found += _search(group, blank(BREAKS, plain) if group is FRACTURES else plain)
    found = [span for span in found if not _hidden(span, found)]
    found.sort(key=lambda span: (span.start, -span.end))
    found = [span for number, span in enumerate(found) if not _repeated(span, found[:number])]
    return [span for number, span in enumerate(found) if not _apposed(plain, span, found[:number])]


def _search(group: tuple[Wording, ...], plain: str) -> list[Span]:
    """The spans of one group; what a row takes is hidden from the rows below it."""
    found: list[Span] = []
    rest = plain
    for row in group:
        if row.beside and not row.beside.search(plain):
            continue
        if row.describes and any(span.finding == row.finding for span in found):
            continue
        spans = [
            Span(row.finding, match.start(), match.end())
            for match in row.pattern.finditer(rest)
            if match.end() > match.start()
        ]
        if spans and group not in _SEPARATE:
            for span in spans:
                rest = rest[: span.start] + "\0" * (span.end - span.start) + rest[span.end :]
        found += spans
    return found


def _repeated(span: Span, earlier: list[Span]) -> bool:
    return any(
        other.finding == span.finding and span.start < other.end and other.start < span.end
        for other in earlier
    )


def _apposed(plain: str, span: Span, earlier: list[Span]) -> bool:
    """Whether a general word only says more of the device before it: "pacemaker (dual-lead
    device)"."""
    if not (span.is_device and earlier and earlier[-1].is_device):
        return False
    before = _APPOSITION.fullmatch(plain, earlier[-1].end, span.start)
    if before is None or not _GENERIC.fullmatch(plain, span.start, span.end):
        return False
    closed = plain[span.end : span.end + 1] == ")"
    if "(" in before[0]:
        return closed
    return plain[span.start : span.end].startswith(("device", "generator"))


def _hidden(span: Span, spans: list[Span]) -> bool:
    return any(
        (other.finding, span.finding) in _HIDES
        and span.start < other.end
        and other.start < span.end
        for other in spans
    )


class Windows:
    """The stretch of a sentence that each mention has to itself."""

    def __init__(self, plain: str, spans: list[Span]) -> None:
        self._plain = plain
        self._spans = _disjoint(spans)

    def window(self, span: Span) -> str:
        """What is said around one mention, and of it."""
        left, right = self._limits(self._index(span))
        return self._between(left, span.end, right)

    def clause(self, span: Span) -> str:
        """The window as far as the clause goes on."""
        left, right = self._limits(self._index(span))
        end = _CLAUSE_END.search(self._plain, span.end, right)
        return self._between(left, span.end, end.start() if end else right)

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
        return self._plain[left : holder.start], self._between(holder.end, holder.end, right)

    def _limits(self, place: int) -> tuple[int, int]:
        last = place + 1 == len(self._spans)
        right = len(self._plain) if last else self._border(place + 1)[0]
        stop = _STOP.search(self._plain, self._spans[place].end, right)
        return self._border(place)[1], stop.start() if stop else right

    def _between(self, left: int, end: int, right: int) -> str:
        """A stretch around the mention that ends at ``end``, without what caused it."""
        return self._plain[left:end] + blank(_CAUSE, self._plain[end:right])

    def _border(self, place: int) -> tuple[int, int]:
        """Where the stretch before the mention at ``place`` ends, and where its own begins."""
        start = self._spans[place].start
        if place == 0:
            begin = max((m.end() for m in re.finditer(r";|\. ", self._plain[:start])), default=0)
            return begin, begin
        last = self._spans[place - 1].end
        splits = list(SEPARATOR.finditer(self._plain, last, start))
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
