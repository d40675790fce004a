"""The metrics of RadEval, computed by a process in an environment of its own.

found = radeval_scores(Path("radeval/bin/python"), references, {"extractive": texts})
found.scores["bleu"]["extractive"]          # one number a study
found.missing["green"]                      # why it is missing

RadEval (Xu et al., EMNLP 2025 demonstrations; the package ``radeval``) has the metrics of ReXrank
except SembScore. Its requirements and weights do not fit into this project's environment.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from db.errors import NotFoundError, UserError
from evaluation.metrics.bootstrap import FloatArray

METRICS = (
    *("bleu", "rouge", "bertscore", "f1chexbert", "radgraph", "radcliq"),
    *("ratescore", "green"),
)
"""Names in RadEval of what ReXrank reports, and of CheXbert F1 and ROUGE."""

SEMB_SCORE = "SembScore"


@dataclass(frozen=True, kw_only=True)
class RadEvalScores:
    """What the process answered."""

    version: str
    scores: Mapping[str, Mapping[str, FloatArray]]
    """Key of RadEval to system to scores (n,)."""
    missing: Mapping[str, str]
    """Metric to the reason."""


def radeval_scores(
    python: Path,
    references: Sequence[str],
    systems: Mapping[str, Sequence[str]],
    metrics: Sequence[str] = METRICS,
) -> RadEvalScores:
    """Run the process with this Python. Raises UserError where it fails or answers otherwise."""
    worker = Path(__file__).with_name("radeval_process.py")
    request = {
        "metrics": list(metrics),
        "references": list(references),
        "systems": {name: list(texts) for name, texts in systems.items()},
    }
    try:
        done = subprocess.run(
            [python, "-P", worker],  # without the folder of the worker among its modules
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise NotFoundError(
            f"{python} cannot be run ({error.strerror}): name the Python of an environment with "
            "the package radeval"
        ) from error
    if done.returncode != 0:
        *_, last = ["no message", *done.stderr.strip().splitlines()]
        raise UserError(
            f"{python} cannot run RadEval ({last[:200]}): install radeval into its environment"
        )
    try:
        answer = json.loads(done.stdout)
        scores = {
            key: {name: np.array(each[name], dtype=np.float64) for name in systems if name in each}
            for key, each in answer["scores"].items()
        }
        if any(
            one.shape != (len(references),) for each in scores.values() for one in each.values()
        ):
            raise ValueError("scores of another number of studies")
        missing = {str(name): str(why) for name, why in answer["missing"].items()}
        missing[SEMB_SCORE] = "RadEval has none"
        return RadEvalScores(version=str(answer["version"]), scores=scores, missing=missing)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{python} answered something else than scores ({error}): use RadEval 2"
        ) from error
