"""The log of runs on the test split: one line for every set of weights measured on it.

A test split that is looked at often becomes a second validation split. So the log is read before a
run, and a second run of the same weights needs a reason, which its line then holds. Lines are only
ever appended.
"""

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from db.errors import UserError
from evaluation.metrics.bootstrap import Interval
from evaluation.provenance import Provenance
from evaluation.retrieval.scores import Evaluation
from evaluation.tables import Table

_FIGURES = (
    *("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr", "label micro-F1", "label macro-F1"),
    *("No Finding F1", "AUC mean", "precision@5", "nDCG@10", "own report recall@5", "flagged"),
)


def require_first_run(
    path: Path, weights_sha256: str, again: str | None, *, collection: str | None = None
) -> None:
    """Raises UserError where the log holds these weights and ``again`` gives no reason.

    ``collection`` is the one a line names, None where it names none: each is measured on once.
    """
    if again is not None or not path.is_file():
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            logged, date = entry["weights_sha256"], entry["date"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}, line {number} is no entry of a test log") from error
        if logged == weights_sha256 and entry.get("collection") == collection:
            raise UserError(
                f"weights {weights_sha256[:12]} were measured on test on {date} ({path}, line "
                f"{number}): quote that line, or give a reason with --again REASON"
            )


def append_run(path: Path, entry: Mapping[str, Any], *, command: str, again: str | None) -> None:
    """Append the line of a run, dated now; earlier lines stay as they are."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    line = {"date": now, "command": command, "again": again, **entry}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, sort_keys=True) + "\n")


def retrieval_entry(
    evaluation: Evaluation, origin: Provenance, tables: Sequence[Table] = ()
) -> dict[str, Any]:
    """What the log keeps of an evaluation of retrieval."""
    subset = evaluation.subsets[0]
    return {
        "weights_sha256": origin.weights_sha256,
        "encoder": origin.encoder,
        "index_fingerprint": origin.index_fingerprint,
        "labeller": origin.reference_labeller,
        "cleaning": origin.cleaning,
        "studies": subset.studies,
        "figures": {
            system: _values(figures)
            for system, figures in subset.figures.items()
            if _values(figures)
        },
        "tables": {table.title: table_values(table) for table in tables},
    }


def table_values(table: Table) -> dict[str, Any]:
    """Value, low and high of every cell, by row and column."""
    return {
        row: {column: rounded(cell.interval) for column, cell in cells.items()}
        for row, cells in table.rows.items()
    }


def rounded(interval: Interval) -> list[float]:
    """Value, low and high, as they are logged."""
    return [round(value, 4) for value in (interval.value, interval.low, interval.high)]


def _values(figures: Mapping[str, Any]) -> dict[str, list[float]]:
    """Value, low and high of the figures that are logged; undefined ones are left out."""
    return {
        name: rounded(figures[name])
        for name in _FIGURES
        if name in figures and figures[name].value == figures[name].value
    }
