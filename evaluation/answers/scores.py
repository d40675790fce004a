"""Answers to questions, scored: exact match, token F1, and accuracy of the closed ones.

table = answer_table("VQA", {"with retrieval": rows, "majority answer": majority(rows)})
folds = by_group(rows, 5)           # of whole images, for a model that is tuned on the other folds

Answers are compared as lower-case words without citations, punctuation and articles, as in
Rajpurkar et al., EMNLP 2016. The majority answer is taken from the scored questions themselves,
separately for closed and open ones, so no constant answer does better. The bootstrap resamples
patients (or images, where these are all that is known), not questions.
"""

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from db.errors import UserError
from evaluation.answers.served import answers_without_model, calibrations, served_answers
from evaluation.metrics.bootstrap import RESAMPLES
from evaluation.outputs.names import (
    REPORT_QUESTIONS,
    SERVED,
    VQA_RAD,
    WITH_RETRIEVAL,
    WITHOUT_MODEL,
    WITHOUT_RETRIEVAL,
)
from evaluation.outputs.rows import AnswerRow, Outputs
from evaluation.reports.references import References
from evaluation.tables import Cell, Share, Table, minus, tabulate
from generator.assessment.calibration import Calibration
from generator.grounding.answers import is_yes
from generator.vision_language import NO_MODEL

MAJORITY = "majority answer"
YES_RIGHT, NO_RIGHT = "yes-answers right", "no-answers right"
"""Accuracy by the reference answer: a constant answer has all of one and none of the other."""
_CLOSED = "closed accuracy"
SEED = 0

FOLDS = 5
"""Of VQA-RAD, by image."""

_MARKS = re.compile(r"\[\d{1,3}\]")
_ARTICLES = frozenset({"a", "an", "the"})


class Grouped(Protocol):
    """A question, answered or not."""

    @property
    def group(self) -> str: ...


def words(answer: str) -> list[str]:
    """Return the words of an answer that are compared."""
    said = re.findall(r"[a-z0-9]+", _MARKS.sub(" ", answer).lower())
    return [word for word in said if word not in _ARTICLES]


def is_exact(row: AnswerRow) -> bool:
    return words(row.text) == words(row.reference)


def token_f1(row: AnswerRow) -> float:
    """Of the words that answer and reference share, each as often as both have it."""
    said, right = words(row.text), words(row.reference)
    shared = sum((Counter(said) & Counter(right)).values())
    return 2 * shared / (len(said) + len(right)) if shared else float(said == right)


def is_right(row: AnswerRow) -> bool:
    """Of a closed question: yes and no by their first word, another choice word for word.

    "Perhaps" counts as yes, as a finding that a report has in doubt counts as one that it names.
    """
    wanted = is_yes(row.reference)
    if wanted is None:
        return is_exact(row)
    return (words(row.text)[:1] == ["perhaps"] or is_yes(row.text)) == wanted


def majority(rows: Sequence[AnswerRow], folds: Mapping[str, int] | None = None) -> list[AnswerRow]:
    """The same answer to all closed and to all open questions of a fold: the most frequent."""
    counts: dict[tuple[int, bool], Counter[str]] = {}
    for row in rows:
        said = " ".join(words(row.reference))
        counts.setdefault(_part(row, folds), Counter())[said] += 1
    most = {part: count.most_common(1)[0][0] for part, count in counts.items()}
    return [replace(row, system=MAJORITY, text=most[_part(row, folds)]) for row in rows]


def by_group(rows: Sequence[Grouped], count: int) -> dict[str, int]:
    """Group to fold, seeded; a group's questions fall into one fold."""
    groups = sorted({row.group for row in rows})
    if not 2 <= count <= len(groups):
        raise UserError(f"{len(groups)} images cannot be put into {count} folds")
    random.Random(SEED).shuffle(groups)
    return {group: place % count for place, group in enumerate(groups)}


def answer_table(
    title: str,
    systems: Mapping[str, Sequence[AnswerRow]],
    *,
    patients: Mapping[str, str | None] | None = None,
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
) -> Table:
    """Every system on the same questions; the first is also set against each other one.

    So is the one as served, whose answers are sentences: only their yes and no is scored.
    ``patients`` maps a group of questions to its patient; one that it lacks is its own.
    Raises UserError where they were not asked the same.
    """
    (first, rows), *others = systems.items()
    for name, some in others:
        if {row.key for row in some} != {row.key for row in rows}:
            raise UserError(f"'{first}' and '{name}' did not answer the same questions")
    groups = sorted({row.group for row in rows})
    shares: dict[str, dict[str, Share]] = {}
    for system, some in systems.items():
        for measure, share in _shares(some, groups).items():
            shares.setdefault(measure, {})[system] = share
    shares = {measure: cells for measure, cells in shares.items() if first in cells}
    table: dict[str, Mapping[str, Cell]] = dict(shares)
    for measure, cells in shares.items():
        for one in (first, SERVED):
            rest = {name: cells[name] for name in cells if name not in (first, SERVED)}
            if one in cells and rest:
                table[f"{measure}: {one} minus"] = {
                    name: minus(cells[one], cell) for name, cell in rest.items()
                }
    closed = sum(row.closed for row in rows)
    return tabulate(
        title,
        table,
        patients=[(patients or {}).get(group) or group for group in groups],
        notes=(
            f"{len(rows)} questions on {len(groups)} studies or images, {closed} closed; patients, "
            "or images, are resampled, not questions",
            *notes,
        ),
        resamples=resamples,
    )


def answer_tables(
    outputs: Outputs, references: References, calibration: Calibration, resamples: int
) -> list[Table]:
    """One table for each question set; the majority answer of VQA-RAD is that of each fold.

    Raises UserError where a condition has not answered a set.
    """
    cases = references.cases
    patients = {group: case.patient_id for group, case in cases.items()}
    if outputs.about.model == NO_MODEL:
        fitted = calibrations(outputs, references, calibration)
        rows = answers_without_model(outputs, references, fitted)
        return [
            answer_table(
                f"Questions: {REPORT_QUESTIONS}",
                {WITHOUT_MODEL: rows, MAJORITY: majority(rows)},
                patients=patients,
                notes=[f"decided by the assessment, {_origin(calibration, fitted)}"],
                resamples=resamples,
            )
        ]
    tables = []
    for name in (REPORT_QUESTIONS, VQA_RAD):
        systems = {
            system: [row for row in rows.values() if row.questions == name]
            for system, rows in outputs.answers.items()
        }
        if not any(systems.values()):
            continue
        if missing := [
            condition
            for condition in (WITH_RETRIEVAL, WITHOUT_RETRIEVAL)
            if not systems.get(condition)
        ]:
            raise UserError(
                f"'{missing[0]}' has not answered the questions {name} in {outputs.path}: go on "
                "with --model"
            )
        systems = {system: rows for system, rows in systems.items() if rows}
        asked = next(iter(systems.values()))
        notes = ["answered by a model that was not tuned on them"] if name == VQA_RAD else []
        if name == REPORT_QUESTIONS:
            fitted = calibrations(outputs, references, calibration)
            systems[SERVED] = served_answers(systems[WITH_RETRIEVAL], outputs, references, fitted)
            notes = [f"{SERVED}: decided by the assessment, {_origin(calibration, fitted)}"]
        folds = by_group(asked, FOLDS) if name == VQA_RAD else None
        tables.append(
            answer_table(
                f"Questions: {name}",
                {**systems, MAJORITY: majority(asked, folds)},
                patients=patients,
                notes=notes,
                resamples=resamples,
            )
        )
    return tables


def _origin(calibration: Calibration, used: Mapping[str, Calibration]) -> str:
    if all(one is calibration for one in used.values()):
        return f"calibrated on {calibration.fitted_on}"
    return "each tenth of the patients by a calibration that was fitted on the others"


def _shares(rows: Sequence[AnswerRow], groups: Sequence[str]) -> dict[str, Share]:
    place = {group: number for number, group in enumerate(groups)}
    measured = {
        "exact match": [(row, float(is_exact(row))) for row in rows],
        "token F1": [(row, token_f1(row)) for row in rows],
        _CLOSED: [(row, float(is_right(row))) for row in rows if row.closed],
        YES_RIGHT: [(row, float(is_right(row))) for row in rows if is_yes(row.reference) is True],
        NO_RIGHT: [(row, float(is_right(row))) for row in rows if is_yes(row.reference) is False],
    }
    if rows and rows[0].system in (SERVED, WITHOUT_MODEL):
        measured = {name: measured[name] for name in (_CLOSED, YES_RIGHT, NO_RIGHT)}
    shares = {}
    for measure, scored in measured.items():
        hits, of = [0.0] * len(groups), [0.0] * len(groups)
        for row, value in scored:
            hits[place[row.group]] += value
            of[place[row.group]] += 1
        shares[measure] = Share(hits=hits, of=of)
    return shares


def _part(row: AnswerRow, folds: Mapping[str, int] | None) -> tuple[int, bool]:
    return (folds[row.group] if folds else 0), row.closed
