"""The language model's tables in docs/results.md, from its evaluations.

python -m results.make_tables --val DIR/evaluation.json \
    [--test DIR/evaluation.json] [--vqa-rad FIGURES]
python -m results.make_tables                  # again, from the figures that are committed

The first form takes the figures from what ``evaluation model --out DIR`` and ``bench.vqa_rad score
--out FIGURES`` wrote and keeps them in ``results/results.json``: numbers, what they depend on and
the machine, no text of any study. Figures that are not given stay as they were. Both forms then
write the tables between the two marks in docs/results.md.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import write_text
from evaluation.outputs.names import REPORT_QUESTIONS
from results.tables import JUDGED, plain_command, written

ROOT = Path(__file__).resolve().parent.parent

FIGURES = ROOT / "results" / "results.json"
PAGE = ROOT / "docs" / "results.md"
BEGIN, END = "<!-- results -->", "<!-- results end -->"
SPLITS = ("val", "test")
METRICS = ("CIDEr", "BLEU-4", "ROUGE-L", "label micro-F1")
TABLES = (
    "Grounding",
    JUDGED,
    "Over-reliance",
    f"Questions: {REPORT_QUESTIONS}",
    "Classification: AUC",
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for split in SPLITS:
        parser.add_argument(f"--{split}", type=Path, metavar="FILE", help="evaluation.json")
    parser.add_argument("--vqa-rad", type=Path, metavar="FILE", help="of bench.vqa_rad score")
    parser.add_argument("--figures", type=Path, default=FIGURES, metavar="FILE")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        figures = read_json(arguments.figures) if arguments.figures.is_file() else {}
        given = {split: path for split in SPLITS if (path := getattr(arguments, split))}
        figures |= {split: evaluation(read_json(path), split) for split, path in given.items()}
        if arguments.vqa_rad is not None:
            figures["vqa_rad"] = vqa_rad(read_json(arguments.vqa_rad))
        check(figures)
        text = with_table(arguments.page.read_text(encoding="utf-8"), figures)
        if given or arguments.vqa_rad is not None:
            write_text(arguments.figures, json.dumps(figures, indent=1) + "\n")
        write_text(arguments.page, text)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def with_table(page: str, figures: Mapping[str, Any]) -> str:
    """The page with the tables of these figures; empty between the marks without figures."""
    return between(page, BEGIN, END, written(figures))


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with ``text`` between two marks.

    Raises UserError unless each mark is there once, in order.
    """
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended or begin in rest or end in before + after:
        raise UserError(f"the page needs {begin} and, below, {end}: put both there once")
    return f"{before}{begin}\n{text}{end}{after}"


def evaluation(document: Mapping[str, Any], split: str) -> dict[str, Any]:
    """What of an evaluation is kept. Raises UserError for one of another split or form."""
    try:
        if document["about"]["split"] != split:
            raise UserError(f"this is an evaluation of {document['about']['split']}, not {split}")
        return {
            "about": document["about"],
            "run": run_of(document["run"]),
            "resamples": document["provenance"]["resamples"],
            "subsets": [
                {
                    "name": subset["name"],
                    "studies": subset["studies"],
                    "figures": _chosen(subset["figures"]),
                    "differences": _chosen(subset["differences"]),
                }
                for subset in document["subsets"]
            ],
            "tables": {
                table["title"]: table_rows(table)
                for table in document["tables"]
                if table["title"].startswith(TABLES)
            },
        }
    except (KeyError, TypeError) as error:
        raise UserError(
            f"the file is no evaluation with reports ({error} is missing): make it with "
            "'python -m evaluation model --out DIR'"
        ) from error


def vqa_rad(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of the figures of VQA-RAD is kept. Raises UserError for a file of another form."""
    try:
        computed = sorted({fold["computed"] for fold in document["folds"]})
        prepared = document["prepared"]
        return {
            "run": run_of(document),
            "computed": ", ".join(computed),
            "prompt_version": prepared["prompt_version"],
            "images": prepared["images"],
            "weights_sha256": [fold["weights_sha256"] for fold in document["folds"]],
            "table": table_rows(document["table"]),
        }
    except (KeyError, TypeError) as error:
        raise UserError(
            f"the file holds no figures of VQA-RAD ({error} is missing): make it with "
            "'python -m bench.vqa_rad score --out FIGURES'"
        ) from error


def check(figures: Mapping[str, Any]) -> None:
    """Raises UserError where the two splits were answered by different weights."""
    held = [figures[split]["about"]["weights_sha256"] for split in SPLITS if split in figures]
    if len(set(held)) > 1:
        raise UserError(
            f"val is of weights {held[0][:12]} and test of {held[1][:12]}: name evaluations of "
            "the same, or take the other one out of the figures"
        )


def read_json(path: Path) -> dict[str, Any]:
    """Raises UserError for a file that is no JSON object."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON: check the name") from error
    if not isinstance(stored, dict):
        raise UserError(f"{path} holds no figures")
    return stored


def run_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Date, command and machine of figures that were stored."""
    run = {name: document[name] for name in ("date", "command", "machine")}
    return {**run, "command": plain_command(run["command"])}


def _chosen(systems: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[float | None]]]:
    return {
        system: {name: _interval(found[name]) for name in METRICS if name in found}
        for system, found in systems.items()
    }


def table_rows(table: Mapping[str, Any]) -> dict[str, dict[str, list[float | None]]]:
    """Value, low, high and, of a difference, p of every cell of a table that was stored."""
    return {
        row: {column: _interval(cell["interval"]) for column, cell in cells.items()}
        for row, cells in table["rows"].items()
    }


def _interval(values: Mapping[str, float | None]) -> list[float | None]:
    found = [values[name] for name in ("value", "low", "high")]
    if values.get("p") is not None:
        found.append(values["p"])
    return [None if one is None else round(one, 6) for one in found]


if __name__ == "__main__":
    sys.exit(main())
