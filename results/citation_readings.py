"""What readers said of citations and reports, and the tables of it in docs/citation-benchmark.md.

python -m results.citation_readings --forms DIR --reader A DIR_A --reader B DIR_B \\
    --readers-are "language models"
python -m results.citation_readings            # again, from the readings that are committed

``evaluate forms`` writes the forms, readers fill copies of them. What they said is kept in
``results/citation_readings.json`` item by item: study, cited case and the SHA-256 of the sentence,
no word of a report. Both forms compute the tables from it and write them between the two marks.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from db.errors import UserError
from db.files import write_json, write_text
from evaluation.metrics.bootstrap import RESAMPLES
from evaluation.readers.command import KINDS
from evaluation.readers.forms import read_key
from evaluation.readers.ratings import Ratings, read_all, tables_of
from evaluation.tables import Table, without_nan
from results.make_tables import ROOT, between, read_json, table_rows
from results.tables import markdown

READINGS = ROOT / "results" / "citation_readings.json"
PAGE = ROOT / "docs" / "citation-benchmark.md"
REPORTS_READ = "Reports, as read"
"""The table whose columns become rows."""
BEGIN, END = "<!-- readings -->", "<!-- readings end -->"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--forms", type=Path, metavar="DIR", help="with the key of the forms")
    parser.add_argument(
        "--reader", nargs=2, action="append", default=[], metavar=("NAME", "FOLDER")
    )
    parser.add_argument("--readers-are", choices=KINDS)
    parser.add_argument("--readings", type=Path, default=READINGS, metavar="FILE")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    arguments = parser.parse_args(argv)
    try:
        if arguments.forms is not None:
            if not arguments.reader or arguments.readers_are is None:
                raise UserError("name each --reader of these forms, and what --readers-are")
            readers = {name: Path(folder) for name, folder in arguments.reader}
            readings = kept(arguments.forms, readers, arguments.readers_are)
        else:
            readings = read_json(arguments.readings)
        readings["tables"] = {
            table.title: table_rows(without_nan(asdict(table)))
            for table in tables(readings, arguments.resamples)
        }
        page = arguments.page.read_text(encoding="utf-8")
        page = between(page, BEGIN, END, f"\n{written(readings)}\n\n")
        write_json(arguments.readings, readings)
        write_text(arguments.page, page)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def kept(forms: Path, readers: Mapping[str, Path], kind: str) -> dict[str, Any]:
    """Every item of the forms with what each reader said of it. Raises UserError as `read_all`."""
    key = read_key(forms)
    said = read_all(forms, readers)
    for name, one in said.items():
        if one.holds is None or one.errors is None:
            raise UserError(f"reader '{name}' has filled one form of two: fill in the other too")
    return {
        "about": {**key["about"], "readers": list(readers), "readers are": kind},
        "pairs": [
            {**pair, "holds": {name: bool(_holds(one)[place]) for name, one in said.items()}}
            for place, pair in enumerate(key["pairs"])
        ],
        "reports": [
            {**report, "errors": {name: _errors(one)[place].tolist() for name, one in said.items()}}
            for place, report in enumerate(key["reports"])
        ],
    }


def tables(readings: Mapping[str, Any], resamples: int = RESAMPLES) -> list[Table]:
    """The tables of `kept`. Raises UserError for anything else."""
    try:
        said = {
            name: Ratings(
                holds=np.array([pair["holds"][name] for pair in readings["pairs"]], dtype=bool),
                errors=np.array([one["errors"][name] for one in readings["reports"]]),
            )
            for name in readings["about"]["readers"]
        }
        kind = readings["about"]["readers are"]
    except (KeyError, TypeError) as error:
        raise UserError(
            f"the file holds no readings ({error} is missing): make it with --forms and --reader"
        ) from error
    return tables_of(readings, said, kind=kind, resamples=resamples)


def written(readings: Mapping[str, Any]) -> str:
    """Markdown: who read what, and every table."""
    about = readings["about"]
    kind, names = about["readers are"], " and ".join(about["readers"])
    studies = {one["study"] for one in readings["reports"]}
    parts = [
        f"**Read by {len(about['readers'])} {kind}**, {names}, blind and by written rules: "
        f"{len(readings['pairs'])} sentences with a report, and {len(readings['reports'])} reports "
        f"of {len(studies)} studies; {about['source']} {about['split']}, index "
        f"{about['index_fingerprint'][:12]}, weights {about['weights_sha256'][:12]}, check with "
        f"`{about['labeller']}`"
    ]
    for title, rows in readings["tables"].items():
        shown = _turned(rows) if title == REPORTS_READ else rows
        columns = list(dict.fromkeys(column for cells in shown.values() for column in cells))
        parts.append(markdown(f"{title} by {kind}", shown, columns))
    parts.append(
        "Written by `python -m results.citation_readings` from `results/citation_readings.json`."
    )
    return "\n\n".join(parts)


def _turned(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    columns = dict.fromkeys(column for cells in rows.values() for column in cells)
    return {
        column: {row: cells[column] for row, cells in rows.items() if column in cells}
        for column in columns
    }


def _holds(one: Ratings) -> np.ndarray:
    assert one.holds is not None  # checked by `kept`
    return one.holds


def _errors(one: Ratings) -> np.ndarray:
    assert one.errors is not None
    return one.errors


if __name__ == "__main__":
    sys.exit(main())
