"""The process that runs RadEval: a program of its own, for an environment that has the package.

It reads one JSON object from standard input and writes one to standard output:

    {"metrics": ["bleu"], "references": ["..."], "systems": {"extractive": ["..."]}}
    {"version": "2.2.1", "scores": {"bleu": {"extractive": [0.31]}}, "missing": {"green": "why"}}

A metric whose package or weights are not there is missing, with the reason; none is replaced by
another. Only the standard library is imported here, as nothing of this project is installed there.
"""

import importlib
import importlib.metadata
import json
import os
import sys
from typing import Any


def scores(request: dict[str, Any]) -> dict[str, Any]:
    """Compute every metric of every system, one number a text."""
    radeval = importlib.import_module("radeval")  # of that environment, never of this one
    found: dict[str, dict[str, list[float]]] = {}
    missing: dict[str, str] = {}
    references = request["references"]
    for name in request["metrics"]:
        try:
            scorer = radeval.RadEval(metrics=[name], per_sample=True, show_progress=False)
            for system, texts in request["systems"].items():
                for key, values in scorer(refs=references, hyps=texts).items():
                    if isinstance(values, list) and len(values) == len(references):
                        each = [float(value) for value in values]
                        found.setdefault(key, {})[system] = each
        except Exception as error:  # whatever a package lacks, the other metrics are computed
            lines = str(error).strip().splitlines() or [""]
            missing[name] = f"{type(error).__name__}: {lines[0][:200]}"
    version = importlib.metadata.version("radeval")
    return {"version": version, "scores": found, "missing": missing}


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # packages print on standard output
    json.dump(scores(json.load(sys.stdin)), answers)
    answers.close()


if __name__ == "__main__":
    main()
