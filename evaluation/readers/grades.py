"""Grades of reports that readers gave in the page's blinded review: systems and agreement.

tables = grade_tables([Path("ratings-a.jsonl"), Path("ratings-b.jsonl")], kind="radiologists")

A file has one JSON object a line, one for each report that one reader graded:
``{"format": FORMAT, "file_sha256", "reader", "item", "study", "system", "patient", "report",
"sentences", "seconds", "place"}``. ``report`` and each of ``sentences`` is one of `GRADES`.
Intervals resample patients with all their reports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from db.errors import UserError
from db.files import json_lines
from evaluation.metrics.agreement import kappa_statistic
from evaluation.metrics.bootstrap import RESAMPLES, mean_of
from evaluation.tables import Cell, Share, Table, tabulate

FORMAT = "grounded-cxr-ratings-1"
GRADES = ("acceptable", "minor", "major")
"""From best to worst: as it stands, with an error that changes nothing, with one that could."""


@dataclass(frozen=True, kw_only=True)
class GradedReport:
    """What one reader said of one report."""

    file_sha256: str
    """Of the file of reports that was read."""
    reader: str
    item: int
    """Place of the report in that file, from 0."""
    study: str
    system: str
    patient: str
    report: int
    """Place in `GRADES`, as in ``sentences``."""
    sentences: tuple[int, ...]
    seconds: float
    """That the report was on the screen."""

    @property
    def read(self) -> str:
        """What was read, the same for every reader."""
        return f"study {self.study}, system {self.system}, {len(self.sentences)} sentences"


def read_grades(paths: Sequence[Path]) -> list[GradedReport]:
    """Read ratings as the page exports them.

    Raises UserError, with file and line, for what is none, for two grades of one report by one
    reader, for readers of different files of reports, and for a file that was changed by hand.
    """
    found = [one for path in paths for one in _read(path)]
    if not found:
        raise UserError(f"there is no rating in {', '.join(map(str, paths))}")
    if len({one.file_sha256 for one in found}) > 1:
        raise UserError("these ratings are of different files of reports: name those of one file")
    seen, graded = set(), {one.item: one for one in found}
    for one in found:
        first = graded[one.item]
        if one.read != first.read:
            raise UserError(
                f"report {one.item} has {one.read} for reader '{one.reader}' and {first.read} for "
                f"'{first.reader}': one file was changed by hand, so export it again"
            )
        if (one.reader, one.item) in seen:
            raise UserError(
                f"reader '{one.reader}' has two ratings of report {one.item}: give each reader a "
                "name of their own, and name each file once"
            )
        seen.add((one.reader, one.item))
    return found


def _read(path: Path) -> list[GradedReport]:
    found = []
    for place, row in json_lines(path):
        try:
            found.append(_graded(row))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{place} is no rating: name a file that the page's review exported"
            ) from error
    return found


def _graded(row: Mapping[str, object]) -> GradedReport:
    sentences, seconds, item = row["sentences"], row["seconds"], row["item"]
    if row["format"] != FORMAT or not isinstance(sentences, list):
        raise ValueError
    if not isinstance(seconds, int | float) or not isinstance(item, int):
        raise TypeError
    return GradedReport(
        file_sha256=str(row["file_sha256"]),
        reader=str(row["reader"]),
        item=item,
        study=str(row["study"]),
        system=str(row["system"]),
        patient=str(row.get("patient") or row["study"]),
        report=GRADES.index(str(row["report"])),
        sentences=tuple(GRADES.index(str(one)) for one in sentences),
        seconds=float(seconds),
    )


def grade_tables(paths: Sequence[Path], *, kind: str, resamples: int = RESAMPLES) -> list[Table]:
    """Tabulate ratings: what was graded how, and, of two readers or more, how far they agree.

    ``kind`` says who the readers are. Raises UserError as `read_grades`.
    """
    graded = read_grades(paths)
    readers = sorted({one.reader for one in graded})
    who = f"graded by {', '.join(readers)} ({kind}), without the system's name, in random order"
    tables = [_of_systems(graded, who, resamples)]
    for a, b in combinations(readers, 2):
        # each pair of readers has reports, and so patients, of its own
        if (agreed := _agreement(graded, a, b)) is None:
            continue
        cells, patients = agreed
        tables.append(
            tabulate(
                f"Agreement of {a} and {b}",
                {f"{a} and {b}": cells},
                patients=patients,
                notes=(who, "quadratic weights over acceptable, minor, major"),
                resamples=resamples,
            )
        )
    return tables


def _of_systems(graded: Sequence[GradedReport], who: str, resamples: int) -> Table:
    patients = [one.patient for one in graded]
    rows: dict[str, dict[str, Cell]] = {}
    for system in sorted({one.system for one in graded}):
        own = np.array([one.system == system for one in graded])
        cells: dict[str, Cell] = {}
        for grade, name in enumerate(GRADES):
            is_grade = np.array([one.report == grade for one in graded])
            cells[f"reports {name}"] = Share(hits=own & is_grade, of=own)
        count = np.array([len(one.sentences) for one in graded]) * own
        for grade, name in enumerate(GRADES):
            of_grade = np.array([one.sentences.count(grade) for one in graded]) * own
            cells[f"sentences {name}"] = Share(hits=of_grade, of=count)
        seconds = np.array([one.seconds for one in graded])
        cells["seconds"] = mean_of(np.where(own, seconds, np.nan))
        rows[system] = cells
    return tabulate(
        "Reports and sentences, as graded",
        rows,
        patients=patients,
        notes=(f"{len(graded)} ratings, {who}",),
        resamples=resamples,
    )


def _agreement(
    graded: Sequence[GradedReport], a: str, b: str
) -> tuple[dict[str, Cell], list[str]] | None:
    """Agreement on the reports that both graded, and their patients; None without any."""
    first = {one.item: one for one in graded if one.reader == a}
    second = {one.item: one for one in graded if one.reader == b}
    pairs = [(first[item], second[item]) for item in sorted(first.keys() & second.keys())]
    if not pairs:
        return None
    x, y = (np.array([pair[side].report for pair in pairs]) for side in (0, 1))
    same = np.array(
        [sum(p == q for p, q in zip(m.sentences, n.sentences, strict=True)) for m, n in pairs]
    )
    count = np.array([len(m.sentences) for m, _ in pairs])
    cells: dict[str, Cell] = {
        "reports, same grade": mean_of(x == y),
        "reports, weighted kappa": kappa_statistic(x, y, categories=len(GRADES), weighted=True),
        "reports, kappa of major": kappa_statistic(x == 2, y == 2, categories=2),
        "sentences, same grade": Share(hits=same, of=count),
    }
    return cells, [one.patient for one, _ in pairs]
