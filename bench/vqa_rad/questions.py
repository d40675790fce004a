"""The questions of a work folder: each with its fold and the digests of its prompts.

``questions.jsonl`` opens with what the prompts depend on, then holds one question a line.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import UserError
from evaluation.outputs.names import WITH_RETRIEVAL, WITHOUT_RETRIEVAL

FOLDS = 5
CONDITIONS = (WITH_RETRIEVAL, WITHOUT_RETRIEVAL)
QUESTIONS = "questions.jsonl"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question, as it is scored."""

    question_id: str
    group: str
    """File name of its image."""
    fold: int
    text: str
    answer: str
    closed: bool
    keys: Mapping[str, str]
    """Condition to the digest of its prompt."""
    cases: tuple[str, ...]
    """Names of the cases shown with retrieval."""


def read_asked(work: Path) -> tuple[dict[str, Any], list[Asked]]:
    """Read what ``prepare`` wrote. Raises UserError for anything else."""
    try:
        first, *lines = (work / QUESTIONS).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return json.loads(first), [Asked(**{**row, "cases": tuple(row["cases"])}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{work} holds no questions: make them with prepare") from error
