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

from evaluation.layout import lay_out, wrapped
from evaluation.metrics.bootstrap import (
    RESAMPLES,
    Interval,
    Statistic,
    bootstrap,
    by_patient,
    of_sums,
    paired_bootstrap,
    ratio,
)

FEW = 3
"""Studies that a figure needs; with fewer its text is "too few": its values are in JSON alone."""


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
        return of_sums(
            counts,
            lambda sums: ratio(sums[:, 0], sums[:, 1]),
            informative=lambda rows: int(np.count_nonzero(rows[:, 1])),
        )

    @property
    def count(self) -> tuple[int, int]:
        return int(np.sum(self.hits)), int(np.sum(self.of))


@dataclass(frozen=True, kw_only=True, eq=False)
class Difference:
    """A score of one system minus that of another on the same studies."""

    a: Statistic
    b: Statistic


Cell = Statistic | Share | Difference


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One cell."""

    interval: Interval
    count: tuple[int, int] | None = None
    """Numerator and denominator of a share."""
    studies: int | None = None
    """How many studies it rests on; None where that was not counted."""


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
    rows: Mapping[str, Mapping[str, Cell]],
    *,
    patients: Sequence[str | None] | None = None,
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
) -> Table:
    """Every cell with its interval; all on the same resamples of the patients.

    ``patients`` has the id of each study's patient, None where it is unknown; without it each
    study, or whatever the statistics count, is resampled by itself.
    """
    return Table(
        title=title,
        rows={
            row: {column: _figure(cell, patients, resamples) for column, cell in cells.items()}
            for row, cells in rows.items()
        },
        notes=tuple(notes),
    )


def minus(a: Statistic | Share, b: Statistic | Share) -> Difference:
    """The paired difference, with its interval and the p of paired randomization."""
    return Difference(a=_statistic(a), b=_statistic(b))


def to_text(table: Table) -> str:
    """For a terminal, at most `evaluation.layout.WIDTH` characters wide."""
    columns = table.columns
    lines = [f"== {table.title} =="]
    for note in table.notes:
        lines += wrapped(note, indent="  ")
    cells = [
        (row, [_cell(figures.get(column)) for column in columns])
        for row, figures in table.rows.items()
    ]
    return "\n".join([*lines, *lay_out(columns, cells)])


def without_nan(value: Any) -> Any:
    """JSON values with null for every undefined number."""
    if isinstance(value, Mapping):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and value != value else value


def format_p(p: float) -> str:
    """``p .031``, ``p <.001``."""
    return "p <.001" if p < 0.001 else f"p {p:.3f}".replace("0.", ".")


def _figure(cell: Cell, patients: Sequence[str | None] | None, resamples: int) -> Figure:
    def of(statistic: Statistic) -> Statistic:
        return statistic if patients is None else by_patient(statistic, patients)

    if isinstance(cell, Difference):
        return Figure(
            interval=paired_bootstrap(of(cell.a), of(cell.b), resamples=resamples),
            studies=min(cell.a.informative, cell.b.informative),
        )
    return Figure(
        interval=bootstrap(of(_statistic(cell)), resamples=resamples),
        count=cell.count if isinstance(cell, Share) else None,
        studies=_statistic(cell).informative,
    )


def _statistic(cell: Statistic | Share) -> Statistic:
    return cell.statistic if isinstance(cell, Share) else cell


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    one = figure.interval
    if one.value != one.value:
        text = "undefined"
    elif figure.studies is not None and figure.studies < FEW:
        text = "too few"
    else:
        text = f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
        if one.p is not None:
            text += f" {format_p(one.p)}"
    return f"{text} {figure.count[0]}/{figure.count[1]}" if figure.count else text
