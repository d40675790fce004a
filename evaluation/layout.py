"""Columns of text that fit a terminal of 100 characters.

"\\n".join(lay_out(["as written", "exchanged"], [("precision", ["0.95 [0.92, 0.97]", "-"])]))

Long names are broken at spaces; columns that do not fit follow in another block, under the names of
the rows again.
"""

import textwrap
from collections.abc import Iterator, Sequence

WIDTH = 100
_NAME = 34
"""The widest column of names."""
_GAP = 2


def lay_out(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Return the lines of a table; each row has a name and a cell for each head."""
    names = [_broken(name, _NAME) for name, _ in rows]
    first = max((len(line) for name in names for line in name), default=0)
    widths = [
        max([*map(len, head.split()), *(len(cells[place]) for _, cells in rows)], default=0)
        for place, head in enumerate(heads)
    ]
    lines: list[str] = []
    for columns in _blocks(widths, WIDTH - first):
        if lines:
            lines.append("")
        titles = [_broken(heads[place], widths[place]) for place in columns]
        for depth in range(max(map(len, titles), default=0), 0, -1):
            said = [title[-depth] if depth <= len(title) else "" for title in titles]
            lines.append(_line("", said, first, [widths[place] for place in columns]))
        for name, (_, cells) in zip(names, rows, strict=True):
            *above, last = name
            lines += above
            said = [cells[place] for place in columns]
            lines.append(_line(last, said, first, [widths[place] for place in columns]))
    return lines


def wrapped(text: str, indent: str = "") -> list[str]:
    """Break a note at the width of the tables; further lines are indented."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _blocks(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Which columns stand side by side."""
    block: list[int] = []
    taken = 0
    for place, width in enumerate(widths):
        if block and taken + _GAP + width > room:
            yield block
            block, taken = [], 0
        block.append(place)
        taken += _GAP + width
    if block:
        yield block


def _broken(text: str, width: int) -> list[str]:
    width = max(width, 1)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _line(name: str, cells: Sequence[str], first: int, widths: Sequence[int]) -> str:
    filled = "".join(
        f"{' ' * _GAP}{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)
    )
    return f"{name:{first}}{filled}".rstrip()
