"""Tables for a terminal: their width, their names, and figures of too few studies."""

import numpy as np
import pytest

from evaluation.layout import WIDTH, lay_out, wrapped
from evaluation.metrics.bootstrap import mean_of
from evaluation.metrics.labels import f1_statistic
from evaluation.metrics.ranking import auc_statistic
from evaluation.tables import Share, tabulate, to_text, without_nan

LONG = "what the nearest case of the index says without being asked"


def test_a_table_keeps_its_width_and_every_name_and_cell() -> None:
    heads = ["with retrieval, as served", "with retrieval", LONG, "image alone"]
    rows = [(f"{LONG} {n}", [f"0.{n}{m} [0.100, 0.200] p .031" for m in range(4)]) for n in "123"]
    lines = lay_out(heads, rows)
    assert max(map(len, lines)) <= WIDTH
    words = " ".join(lines).split()
    for name, cells in rows:
        assert set(name.split()) <= set(words)
        assert all(any(cell in line for line in lines) for cell in cells)
    assert set(" ".join(heads).split()) <= set(words)


def test_columns_stand_side_by_side_where_they_fit() -> None:
    assert lay_out(["a", "b cd"], [("x", ["1.00", "2.0"]), ("yy", ["3", "4"])]) == [
        "            b",
        "       a   cd",
        "x   1.00  2.0",
        "yy     3    4",
    ]
    assert lay_out([], []) == []


def test_a_note_is_broken_at_the_same_width() -> None:
    lines = wrapped("word " * 60, indent="  ")
    assert max(map(len, lines)) <= WIDTH and lines[1].startswith("  word")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Share(hits=[1, 1, 0, 0], of=[1, 2, 0, 0]), "too few 2/3"),
        (Share(hits=[1, 1, 0, 0], of=[1, 2, 1, 0]), "0.500 ["),
        (Share(hits=[0, 0], of=[0, 0]), "undefined 0/0"),
        (mean_of([1.0, 0.0, np.nan]), "too few"),
        (mean_of([1.0, 0.0, 1.0]), "0.667 ["),
        (auc_statistic([1, 1, 0, 0, 0], [5, 4, 3, 2, 1]), "too few"),
        (auc_statistic([1, 1, 1, 0, 0, 0], [5, 4, 3, 2, 1, 0]), "1.000 ["),
        (f1_statistic([[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 0]], [[0, 0, 0]]]), "too few"),
    ],
)
def test_a_figure_of_two_studies_is_too_few(cell: object, text: str) -> None:
    table = tabulate("Drawn", {"row": {"column": cell}}, resamples=50)  # type: ignore[dict-item]
    assert text in to_text(table)
    kept = without_nan({"value": table.rows["row"]["column"].interval.value})["value"]
    assert (kept is None) == ("undefined" in text)  # the value is not lost
