"""Tables of figures with 95 % intervals: as values for JSON and as text for people.

table = tabulate("Grounding", {"coverage": {"with retrieval": Share(hits=covered, of=stating)}})
table.rows["coverage"]["with retrieval"].interval.low
to_text(table)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.metrics.bootstrap import (
    RESAMPLES,
    FloatArray,
    Interval,
    Statistic,
    bootstrap,
    of_sums,
    ratio,
)

_WIDTH = 22


@dataclass(frozen=True, kw_only=True, eq=False)
class Share:
    """A ratio of two sums over studies, such as covered sentences of all sentences."""

    hits: npt.ArrayLike
    """(n,)"""
    of: npt.ArrayLike
    """(n,)"""

    @property
    def statistic(self) -> Statistic:
        """The ratio; NaN in a resample with a denominator of 0."""
        counts = np.stack([np.asarray(self.hits, float), np.asarray(self.of, float)], axis=1)
        return of_sums(counts, lambda sums: ratio(sums[:, 0], sums[:, 1]))

    @property
    def count(self) -> tuple[int, int]:
        return int(np.sum(self.hits)), int(np.sum(self.of))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One cell."""

    interval: Interval
    count: tuple[int, int] | None = None
    """Numerator and denominator of a share."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of figures, under columns that need not all be filled."""

    title: str
    rows: Mapping[str, Mapping[str, Figure]]
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(column for row in self.rows.values() for column in row))


def tabulate(
    title: str,
    rows: Mapping[str, Mapping[str, Statistic | Share]],
    *,
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
) -> Table:
    """Every cell with its interval; all on the same resamples of the studies."""
    return Table(
        title=title,
        rows={
            row: {column: _figure(cell, resamples) for column, cell in cells.items()}
            for row, cells in rows.items()
        },
        notes=tuple(notes),
    )


def minus(a: Statistic | Share, b: Statistic | Share) -> Statistic:
    """The paired difference, as a statistic of its own."""
    one, other = _statistic(a), _statistic(b)

    def compute(weights: FloatArray) -> FloatArray:
        return one.compute(weights) - other.compute(weights)

    return Statistic(studies=one.studies, compute=compute)


def to_text(table: Table) -> str:
    """For a terminal; columns are numbered where their names are long."""
    columns = table.columns
    heads = columns
    lines = [f"== {table.title} ==", *table.notes]
    if any(len(column) > _WIDTH for column in columns):
        heads = [f"({number})" for number in range(1, len(columns) + 1)]
        lines += [f"  {head} {column}" for head, column in zip(heads, columns, strict=True)]
    cells = {
        row: [_cell(figures.get(column)) for column in columns]
        for row, figures in table.rows.items()
    }
    widths = [
        max(len(head), *(len(row[place]) for row in cells.values()))
        for place, head in enumerate(heads)
    ]
    first = max((len(row) for row in table.rows), default=0) + 2
    lines.append(" " * first + "  ".join(h.rjust(w) for h, w in zip(heads, widths, strict=True)))
    for row, texts in cells.items():
        filled = "  ".join(t.rjust(w) for t, w in zip(texts, widths, strict=True))
        lines.append(f"{row:{first}}{filled}")
    return "\n".join(line.rstrip() for line in lines)


def without_nan(value: Any) -> Any:
    """JSON values with null for every undefined number."""
    if isinstance(value, Mapping):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and value != value else value


def _figure(cell: Statistic | Share, resamples: int) -> Figure:
    return Figure(
        interval=bootstrap(_statistic(cell), resamples=resamples),
        count=cell.count if isinstance(cell, Share) else None,
    )


def _statistic(cell: Statistic | Share) -> Statistic:
    return cell.statistic if isinstance(cell, Share) else cell


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    one = figure.interval
    if one.value != one.value:
        text = "undefined"
    else:
        text = f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
    return f"{text} {figure.count[0]}/{figure.count[1]}" if figure.count else text
