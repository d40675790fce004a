"""The test log: one line for each set of weights that was ever measured on the test split.

A test split that is looked at often becomes a second val split. So the log is read before a run,
and a second run of the same weights needs a reason, which the line then carries; lines are only
ever added.
"""

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.errors import UserError
from evaluation.retrieval.report import Provenance
from evaluation.retrieval.run import Evaluation

_FIGURES = (
    *("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr", "label micro-F1", "label macro-F1"),
    *("No Finding F1", "AUC mean", "precision@5", "nDCG@10", "own report recall@5", "flagged"),
)


def require_first_run(path: Path, weights_sha256: str, again: str | None) -> None:
    """Raises UserError where the log has these weights and ``again`` gives no reason."""
    if again is not None or not path.is_file():
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            seen, date = entry["weights_sha256"], entry["date"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}, line {number} is no entry of a test log") from error
        if seen == weights_sha256:
            raise UserError(
                f"weights {weights_sha256[:12]} were measured on test on {date} ({path}, line "
                f"{number}): quote that line, or give a reason with --again REASON"
            )


def append_run(
    path: Path,
    evaluation: Evaluation,
    origin: Provenance,
    *,
    command: str,
    again: str | None,
    now: datetime.datetime,
) -> None:
    """Add the line of a run; nothing that stands in the log is changed."""
    subset = evaluation.subsets[0]
    entry: dict[str, Any] = {
        "date": now.isoformat(timespec="seconds"),
        "weights_sha256": origin.weights_sha256,
        "encoder": origin.encoder,
        "index_fingerprint": origin.index_fingerprint,
        "labeller": origin.reference_labeller,
        "cleaning": origin.cleaning,
        "studies": subset.studies,
        "command": command,
        "again": again,
        "figures": {
            system: _values(figures)
            for system, figures in subset.figures.items()
            if _values(figures)
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry, sort_keys=True) + "\n")


def _values(figures: Mapping[str, Any]) -> dict[str, list[float]]:
    """Value, low and high of the figures that are logged; undefined ones are left out."""
    return {
        name: [
            round(figures[name].value, 4),
            round(figures[name].low, 4),
            round(figures[name].high, 4),
        ]
        for name in _FIGURES
        if name in figures and figures[name].value == figures[name].value
    }
