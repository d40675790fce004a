"""Bar charts on the page of an audit, as inline SVG, and the numbers that they show."""

from collections import Counter
from collections.abc import Iterator
from html import escape

from db.labels import OBSERVATIONS
from indexer.audit.collect import Tally
from indexer.audit.result import Bar, Plot
from indexer.audit.scratch import ScratchDatabase

_ROW = 18
_LABEL = 230
_WIDTH = 640
_WORDS_A_BAR = 10
_MOST_BARS = 16
_GREY_A_BAR = 16


def plots_of(tally: Tally, scratch: ScratchDatabase) -> tuple[Plot, ...]:
    """Return the charts of a source that have anything to show."""
    positive = [
        Bar(name=name, count=tally.counts["labels", f"{name}: positive"]) for name in OBSERVATIONS
    ]
    views = [Bar(name=name, count=tally.counts["views", name]) for name in tally.names("views")]
    plots = (
        Plot(name="Studies by positive label", bars=tuple(positive)),
        Plot(name="Images by view", bars=tuple(views)),
        Plot(name="Studies by words of findings", bars=tuple(_histogram(tally.words))),
        Plot(name="Images by mean grey level", bars=tuple(_grey_levels(scratch))),
    )
    return tuple(plot for plot in plots if any(bar.count for bar in plot.bars))


def svg(plot: Plot) -> Iterator[str]:
    """Draw a chart with a bar per row; all text from the data set is escaped."""
    height = _ROW * len(plot.bars)
    longest = max((bar.count for bar in plot.bars), default=0) or 1
    yield (
        f'<svg role="img" aria-label="{escape(plot.name)}" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}">'
    )
    for row, bar in enumerate(plot.bars):
        y = row * _ROW
        width = (_WIDTH - _LABEL - 70) * bar.count / longest
        yield (
            f'<text x="{_LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(bar.name)}</text>'
            f'<rect x="{_LABEL}" y="{y + 2}" width="{width:.1f}" height="{_ROW - 4}"/>'
            f'<text x="{_LABEL + width + 6:.1f}" y="{y + 13}">{bar.count:,}</text>'
        )
    yield "</svg>"


def _histogram(words: Counter[int]) -> Iterator[Bar]:
    if not words:
        return
    step = _WORDS_A_BAR * max(1, -(-(max(words) + 1) // (_WORDS_A_BAR * _MOST_BARS)))
    for start in range(0, max(words) + 1, step):
        count = sum(number for length, number in words.items() if start <= length < start + step)
        yield Bar(name=f"{start} to {start + step - 1}", count=count)


def _grey_levels(scratch: ScratchDatabase) -> Iterator[Bar]:
    query = (
        f"SELECT min(CAST(mean AS INTEGER) / {_GREY_A_BAR}, 15), count(*) FROM images"
        " WHERE side = 'audited' AND mean IS NOT NULL GROUP BY 1"
    )
    counts = dict(scratch.rows(query))
    for place in range(256 // _GREY_A_BAR) if counts else ():
        start = place * _GREY_A_BAR
        yield Bar(name=f"{start} to {start + _GREY_A_BAR - 1}", count=counts.get(place, 0))
