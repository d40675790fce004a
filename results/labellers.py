"""The table of labeller versions in docs/results.md, from evaluations with each of them.

python -m results.labellers --evaluation DIR/evaluation.json --agreement agreement.json
python -m results.labellers                    # again, from the figures that are committed

Both options may be repeated, a file for each version: ``evaluation model --split val --out DIR``
with an index of that version writes the first, ``bench.index.labeller --split val --out FILE`` with
its rules the second. The figures are kept in ``results/labeller_versions.json``; versions that are
not given stay as they were. The table goes between the two marks in docs/results.md.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import write_text
from evaluation.classification.scores import MEAN
from evaluation.outputs.names import EXTRACTIVE, NEAREST, REPORT_QUESTIONS, SERVED, WITH_RETRIEVAL
from results.make_tables import PAGE, ROOT, between, evaluation, read_json
from results.tables import figure

FIGURES = ROOT / "results" / "labeller_versions.json"
BEGIN, END = "<!-- labellers -->", "<!-- labellers end -->"
SPLIT = "val"
AGREEMENT = "agreement"
_HEAD = "label head of the encoder"
_VOTE = "vote of the nearest cases"
_AUC = "Classification: AUC-ROC"
_QUESTIONS = f"Questions: {REPORT_QUESTIONS}"
_OF_REPORTS: tuple[tuple[str, str, str], ...] = (
    ("report as served: CIDEr", SERVED, "CIDEr"),
    ("report as served: label micro-F1", SERVED, "label micro-F1"),
    ("extractive report: label micro-F1", EXTRACTIVE, "label micro-F1"),
    ("nearest case: label micro-F1", NEAREST, "label micro-F1"),
    ("label head: micro-F1", _HEAD, "label micro-F1"),
)
_OF_TABLES: tuple[tuple[str, str, str, str], ...] = (
    ("label head: AUC mean", _AUC, MEAN, _HEAD),
    ("vote of the nearest cases: AUC mean", _AUC, MEAN, _VOTE),
    ("label head: AUC of No Finding", _AUC, "No Finding (", _HEAD),
    ("closed questions from reports, right", _QUESTIONS, "closed accuracy", WITH_RETRIEVAL),
    ("the majority answer to them", _QUESTIONS, "closed accuracy", "majority answer"),
    ("citations as written that hold", "Grounding", "precision, as written", WITH_RETRIEVAL),
    (
        "the same, of sentences that name a finding",
        "Grounding",
        "precision of findings, as written",
        WITH_RETRIEVAL,
    ),
)
"""Row of the table to the table, row (or its beginning) and column of an evaluation."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name in ("evaluation", AGREEMENT):
        parser.add_argument(f"--{name}", type=Path, action="append", default=[], metavar="FILE")
    parser.add_argument("--figures", type=Path, default=FIGURES, metavar="FILE")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        versions = read_json(arguments.figures) if arguments.figures.is_file() else {}
        for path in arguments.evaluation:
            found = evaluation(read_json(path), SPLIT)
            _add(versions, found["about"]["labeller"], found)
        for path in arguments.agreement:
            found = agreement(read_json(path))
            _add(versions, found["labeller"], {AGREEMENT: found})
        page = arguments.page.read_text(encoding="utf-8")
        page = between(page, BEGIN, END, f"\n{table(versions)}\n\n")
        if arguments.evaluation or arguments.agreement:
            write_text(arguments.figures, json.dumps(versions, indent=1) + "\n")
        write_text(arguments.page, page)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def agreement(document: Mapping[str, Any]) -> dict[str, Any]:
    """Check what ``bench.index.labeller --out`` wrote. Raises UserError for another file."""
    try:
        if document["split"] != SPLIT:
            raise UserError(f"this agreement is on {document['split']}, not {SPLIT}")
        kept = {name: document[name] for name in ("labeller", "split", "studies")}
        return {**kept, **{name: round(document[name], 6) for name in ("mean F1", "No Finding")}}
    except (KeyError, TypeError) as error:
        raise UserError(
            f"the file holds no agreement ({error} is missing): make it with "
            "'python -m bench.index.labeller --split val --out FILE'"
        ) from error


def table(versions: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown with a column a version, in the order of their names."""
    names = sorted(versions)
    lines = [
        f"| | {' | '.join(f'`{name}`' for name in names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    columns = [_cells(versions[name]) for name in names]
    rows = dict.fromkeys(row for cells in columns for row in cells)
    lines += [f"| {row} | {' | '.join(cells.get(row, '') for cells in columns)} |" for row in rows]
    lines += ["", "Written by `python -m results.labellers` from `results/labeller_versions.json`."]
    return "\n".join(lines)


def _add(versions: dict[str, Any], name: str, figures: Mapping[str, Any]) -> None:
    versions[name] = {**versions.get(name, {}), **figures}


def _cells(version: Mapping[str, Any]) -> dict[str, str]:
    """Row of the table to the figure of one version."""
    cells = {}
    if AGREEMENT in version:
        for row, name in (
            ("agreement with the public CheXpert labels on No Finding", "No Finding"),
            ("mean F1 of six common findings against these labels", "mean F1"),
        ):
            cells[row] = f"{version[AGREEMENT][name]:.3f}".lstrip("0")
    for row, system, metric in _OF_REPORTS if "subsets" in version else ():
        cells[row] = figure(version["subsets"][0]["figures"].get(system, {}).get(metric))
    for row, title, name, column in _OF_TABLES if "tables" in version else ():
        rows = version["tables"].get(title, {})
        found = next((cell for given, cell in rows.items() if given.startswith(name)), {})
        cells[row] = figure(found.get(column))
    return cells


if __name__ == "__main__":
    sys.exit(main())
