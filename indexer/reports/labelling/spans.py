"""Where a sentence words findings."""

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


def find_spans(plain: str, organs: Iterable[Span]) -> list[Span]:
    """The findings worded in a sentence, and those of its organs, in the order of the text."""
    found = list(organs)
    for group in _GROUPS:
        found += _search(group, blank(BREAKS, plain) if group is FRACTURES else plain)
    found = [span for span in found if not _hidden(span, found)]
    found.sort(key=lambda span: (span.start, -span.end))
    return [span for number, span in enumerate(found) if not _repeated(span, found[:number])]


def _search(group: tuple[Wording, ...], plain: str) -> list[Span]:
    """The spans of one group; what a row takes is hidden from the rows below it."""
    found: list[Span] = []
    rest = plain
    for row in group:
        if row.beside and not row.beside.search(plain):
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


def _hidden(span: Span, spans: list[Span]) -> bool:
    return any(
        (other.finding, span.finding) in _HIDES
        and span.start < other.end
        and other.start < span.end
        for other in spans
    )
