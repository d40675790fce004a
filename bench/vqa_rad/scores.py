"""Figures of the answers to VQA-RAD: every question by the adapter that never saw its image.

Beside them stands what one answer to all closed and one to all open questions of a fold gets: the
most frequent one of the other four folds, which a system may know, and that of the fold itself,
which none may, and which nothing constant beats.
"""

import argparse
import datetime
import json
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.vqa_rad.questions import CONDITIONS, FOLDS, Asked, read_asked
from db.errors import MismatchError, UserError
from db.files import write_text
from evaluation.answers.scores import answer_table, is_right, majority, words
from evaluation.outputs.names import VQA_RAD, WITH_RETRIEVAL
from evaluation.outputs.prompts import read_answers
from evaluation.outputs.rows import AnswerRow
from evaluation.provenance import machine
from evaluation.tables import Table, to_text

OTHERS, OWN = "majority of the other folds", "majority of the fold itself"


def score(arguments: argparse.Namespace) -> None:
    """Print the figures, and write them. Raises UserError where answers are missing."""
    prepared, asked = read_asked(arguments.work)
    answered, answers = _answers(arguments.answers)
    systems = systems_of(asked, answers)
    notes = [
        f"{FOLDS} folds by image; each answered by an adapter tuned on the others",
        f"computed: {', '.join(sorted({one['computed'] for one in answered}))}",
    ]
    table = answer_table(VQA_RAD, systems, notes=notes, resamples=arguments.resamples)
    folds = fold_counts(asked, systems)
    print(f"{prepared['prompt_version']}, index {prepared['index_fingerprint'][:12]}")
    print("\n".join([to_text(table), *_fold_lines(folds)]))
    if arguments.out is None:
        return
    document = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *sys.argv]),
        "machine": machine(gpu=False),
        "prepared": prepared,
        "folds": [{**counts, **about} for counts, about in zip(folds, answered, strict=True)],
        "table": _figures(table),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.out, json.dumps(document, indent=2) + "\n")


def systems_of(asked: Sequence[Asked], answers: Mapping[str, Any]) -> dict[str, list[AnswerRow]]:
    """Conditions and majorities, each with a row for each question.

    Raises MismatchError where an answer is missing.
    """
    systems: dict[str, list[AnswerRow]] = {}
    for condition in CONDITIONS:
        for one in asked:
            if one.keys[condition] not in answers:
                raise MismatchError(
                    f"question {one.question_id} has no answer {condition}: the answers are to "
                    "other prompts; run prepare and run again"
                )
            systems.setdefault(condition, []).append(
                _row(one, condition, str(answers[one.keys[condition]]))
            )
    folds = {one.group: one.fold for one in asked}
    own = majority(systems[WITH_RETRIEVAL], folds)
    return systems | {
        OTHERS: majority_of_others(asked),
        OWN: [replace(row, system=OWN) for row in own],
    }


def majority_of_others(asked: Sequence[Asked]) -> list[AnswerRow]:
    """To the closed and to the open questions of a fold, the most frequent answer outside it."""
    most: dict[tuple[int, bool], str] = {}
    for fold in {one.fold for one in asked}:
        for closed in (True, False):
            counts = Counter(
                " ".join(words(one.answer))
                for one in asked
                if one.fold != fold and one.closed == closed
            )
            most[fold, closed] = counts.most_common(1)[0][0] if counts else ""
    return [_row(one, OTHERS, most[one.fold, one.closed]) for one in asked]


def fold_counts(
    asked: Sequence[Asked], systems: Mapping[str, Sequence[AnswerRow]]
) -> list[dict[str, Any]]:
    """Of each fold: images, questions, closed ones, and how many of these each system has right."""
    found = []
    for fold in range(FOLDS):
        some = [one for one in asked if one.fold == fold]
        mine = {one.question_id for one in some}
        right = {
            name: sum(row.closed and is_right(row) for row in rows if row.question_id in mine)
            for name, rows in systems.items()
        }
        found.append(
            {
                "fold": fold,
                "images": len({one.group for one in some}),
                "questions": len(some),
                "closed": sum(one.closed for one in some),
                "closed_right": right,
            }
        )
    return found


def _answers(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What gave the answers, a fold each, and all answers by prompt."""
    answers: dict[str, Any] = {}
    answered = []
    for fold in range(FOLDS):
        path = folder / f"fold-{fold}.jsonl"
        about, found = read_answers(path)
        try:
            made = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path.with_suffix('.json')} is not there: use run again") from error
        answered.append({**about, **made})
        answers |= found
    return answered, answers


def _row(one: Asked, system: str, text: str) -> AnswerRow:
    return AnswerRow(
        system=system,
        questions=VQA_RAD,
        question_id=one.question_id,
        group=one.group,
        question=one.text,
        reference=one.answer,
        closed=one.closed,
        text=text,
        context=one.cases if system == WITH_RETRIEVAL else (),
    )


def _fold_lines(folds: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["", "closed questions right, by fold"]
    for one in folds:
        right = "; ".join(f"{name} {count}" for name, count in one["closed_right"].items())
        lines.append(
            f"  {one['fold']}: {one['images']} images, {one['questions']} questions, of "
            f"{one['closed']} closed: {right}"
        )
    return lines


def _figures(table: Table) -> dict[str, Any]:
    rows = {
        row: {
            column: {"interval": asdict(figure.interval), "count": figure.count}
            for column, figure in cells.items()
        }
        for row, cells in table.rows.items()
    }
    return {"title": table.title, "notes": list(table.notes), "rows": rows}
