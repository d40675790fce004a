"""What readers say of pairs and reports, and how far they agree with each other and the check.

tables = rating_tables(Path("forms"), {"A": Path("read_by_a"), "B": Path("read_by_b")}, kind=...)

Intervals resample patients with all their items. Of reports, errors are means over the readers.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from db.errors import UserError
from evaluation.metrics.agreement import kappa_statistic
from evaluation.metrics.bootstrap import RESAMPLES, mean_of
from evaluation.readers.forms import (
    ANOTHER_CASE,
    AS_SERVED,
    AS_WRITTEN,
    ERRORS,
    PAIR_COLUMNS,
    PAIRS,
    REPORT_COLUMNS,
    REPORTS,
    WHY_NOT,
    read_key,
)
from evaluation.tables import Cell, Share, Table, minus, tabulate

MOST_ERRORS = 5
"""Of a report; more count as so many in the agreement."""

_SAID = {"yes": True, "no": False}


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """One reader's filled forms, in the order of the items; None where a form was not given."""

    holds: np.ndarray | None
    """(pairs,) boolean."""
    errors: np.ndarray | None
    """(reports, 7) counts: `ERRORS`, then those that are harmless."""


def rating_tables(
    folder: Path,
    readers: Mapping[str, Path],
    *,
    kind: str,
    resamples: int = RESAMPLES,
) -> list[Table]:
    """Tabulate the filled forms of a folder of forms; ``kind`` says who the readers are.

    Raises UserError for forms that are unfilled, of other items, or of nobody.
    """
    key = read_key(folder)
    return tables_of(key, read_all(folder, readers), kind=kind, resamples=resamples)


def read_all(folder: Path, readers: Mapping[str, Path]) -> dict[str, Ratings]:
    """The filled forms of each reader. Raises UserError as `rating_tables`."""
    read = {name: read_ratings(path, folder) for name, path in readers.items()}
    if not any(one.holds is not None or one.errors is not None for one in read.values()):
        raise UserError(
            f"no reader has a filled {PAIRS} or {REPORTS}: name readers as --reader NAME FOLDER"
        )
    return read


def tables_of(
    key: Mapping[str, Any],
    read: Mapping[str, Ratings],
    *,
    kind: str,
    resamples: int = RESAMPLES,
) -> list[Table]:
    """The tables of what readers said of the items of a key."""
    who = f"read by {', '.join(read)} ({kind}), blind and by written rules"
    pairs = {name: one.holds for name, one in read.items() if one.holds is not None}
    errors = {name: one.errors for name, one in read.items() if one.errors is not None}
    tables = []
    if pairs:
        tables.append(_of_pairs(key, pairs, who, resamples))
    if errors:
        tables += _of_reports(key, errors, who, resamples)
    return tables


def read_ratings(filled: Path, blank: Path) -> Ratings:
    """Read the forms that a reader filled. Raises UserError, which names file and line."""

    def pair(row: Mapping[str, str]) -> bool:
        why = row["why_not"].strip().lower()
        said = _SAID[row["holds"].strip().lower()]
        if (why and why not in WHY_NOT) or (said and why):
            raise ValueError
        return said

    def report(row: Mapping[str, str]) -> list[int]:
        return [_count(row[name]) for name in (*ERRORS, "harmless")]

    holds = _filled(filled / PAIRS, blank / PAIRS, PAIR_COLUMNS, 3, pair,
                    "write yes or no into 'holds' and, after no, one of "
                    f"{', '.join(WHY_NOT)} into 'why_not'")  # fmt: skip
    errors = _filled(filled / REPORTS, blank / REPORTS, REPORT_COLUMNS, 3, report,
                     "write a number into each of its last columns")  # fmt: skip
    return Ratings(
        holds=None if holds is None else np.array(holds, dtype=bool),
        errors=None if errors is None else np.array(errors),
    )


def _count(text: str) -> int:
    found = int(text)
    if found < 0:
        raise ValueError
    return found


def _filled(
    path: Path,
    blank: Path,
    columns: Sequence[str],
    given: int,
    parse: Callable[[Mapping[str, str]], Any],
    cure: str,
) -> list[Any] | None:
    """The rows of a form as ``parse`` has them; its ``given`` first columns must be unchanged."""
    if not path.is_file():
        return None
    rows, wanted = _rows(path, columns), _rows(blank, columns)
    if [_given(row, columns[:given]) for row in rows] != [
        _given(row, columns[:given]) for row in wanted
    ]:
        raise UserError(f"{path} has other items than {blank}: fill in a copy of that form")
    found = []
    for row in rows:
        try:
            found.append(parse(row))
        except (KeyError, ValueError) as error:
            raise UserError(f"{path}, item {row['item']} is not filled in: {cure}") from error
    return found


def _given(row: Mapping[str, str], columns: Sequence[str]) -> list[str]:
    return [" ".join(row[name].split()) for name in columns]


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            if tuple(table.fieldnames or ()) != tuple(columns):
                raise UserError(f"{path} must have the columns {', '.join(columns)}")
            return [{name: row.get(name) or "" for name in columns} for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a form: save it as CSV, UTF-8") from error


def _of_pairs(
    key: Mapping[str, Any], pairs: Mapping[str, np.ndarray], who: str, resamples: int
) -> Table:
    check, drawn, finds = (
        np.array([one[name] for one in key["pairs"]]) for name in ("check", "drawn", "finds")
    )
    groups = {
        **{how: drawn == how for how in (AS_WRITTEN, AS_SERVED, ANOTHER_CASE) if how in drawn},
        "naming a finding": finds,
        "all": np.ones(len(check), dtype=bool),
    }
    rows: dict[str, dict[str, Cell]] = {}
    for group, some in groups.items():

        def add(row: str, hits: np.ndarray, group: str = group, some: np.ndarray = some) -> None:
            rows.setdefault(row, {})[group] = Share(hits=hits & some, of=some)

        def add_kappa(row: str, a: np.ndarray, b: np.ndarray, group: str = group,
                      some: np.ndarray = some) -> None:  # fmt: skip
            rows.setdefault(row, {})[group] = kappa_statistic(a, b, categories=2, counted=some)

        add("holds, by the check", check)
        for name, said in pairs.items():
            add(f"holds, by {name}", said)
        for name, said in pairs.items():
            add(f"the check agrees with {name}", check == said)
            add_kappa(f"kappa of the check and {name}", check, said)
        for (a, first), (b, second) in combinations(pairs.items(), 2):
            add(f"{a} agrees with {b}", first == second)
            add_kappa(f"kappa of {a} and {b}", first, second)
    return tabulate(
        "Sentences and the reports they cite, as read",
        rows,
        patients=_patients(key["pairs"]),
        notes=(f"{len(check)} pairs, {who}", f"the check with {key['about']['labeller']}"),
        resamples=resamples,
    )


def _of_reports(
    key: Mapping[str, Any], errors: Mapping[str, np.ndarray], who: str, resamples: int
) -> list[Table]:
    items = key["reports"]
    note = f"{len(items)} reports, {who}"
    serious = {name: each[:, : len(ERRORS)].sum(axis=1) for name, each in errors.items()}
    systems = list(dict.fromkeys(key["about"]["systems"]))
    studies = sorted({one["study"] for one in items})
    patient_of = {one["study"]: one["patient"] for one in items}
    place = {(one["system"], one["study"]): number for number, one in enumerate(items)}
    mean = np.mean(list(errors.values()), axis=0)  # (reports, 7), over the readers
    rows: dict[str, dict[str, Cell]] = {}
    for system in systems:
        chosen = [place[system, study] for study in studies]
        first = [place[systems[0], study] for study in studies]
        total = mean[:, : len(ERRORS)].sum(axis=1)
        none = np.mean([each == 0 for each in serious.values()], axis=0)
        cells: dict[str, Cell] = {
            "errors": mean_of(total[chosen]),
            "without error": mean_of(none[chosen]),
            "harmless": mean_of(mean[chosen, -1]),
        }
        if system != systems[0]:
            cells[f"errors, minus {systems[0]}"] = minus(
                mean_of(total[chosen]), mean_of(total[first])
            )
        for column, name in enumerate(ERRORS):
            cells[name.replace("_", " ")] = mean_of(mean[chosen, column])
        rows[system] = cells
    tables = [
        tabulate(
            "Reports, as read",
            rows,
            patients=[patient_of[study] for study in studies],
            notes=(
                f"{note}; {len(studies)} studies, errors per report, means over the readers",
                "errors could change what is done for the patient, harmless ones could not",
            ),
            resamples=resamples,
        )
    ]
    if len(errors) > 1:
        agreed: dict[str, dict[str, Cell]] = {}
        for a, b in combinations(errors, 2):
            first_count, second_count = serious[a], serious[b]
            agreed[f"{a} and {b}"] = {
                "same number": mean_of(first_count == second_count),
                "both with or without": mean_of((first_count > 0) == (second_count > 0)),
                "kappa of with or without": kappa_statistic(
                    first_count > 0, second_count > 0, categories=2
                ),
                "weighted kappa of the number": kappa_statistic(
                    np.minimum(first_count, MOST_ERRORS),
                    np.minimum(second_count, MOST_ERRORS),
                    categories=MOST_ERRORS + 1,
                    weighted=True,
                ),
            }
        tables.append(
            tabulate(
                "Agreement on reports",
                agreed,
                patients=_patients(items),
                notes=(note, f"quadratic weights; {MOST_ERRORS} errors or more are one category"),
                resamples=resamples,
            )
        )
    return tables


def _patients(items: Sequence[Mapping[str, Any]]) -> list[str]:
    return [one["patient"] or one["study"] for one in items]
