"""Answers to questions as a user gets them: decided from the assessment, or by the model.

fitted = calibrations(outputs, references, calibration)
rows = served_answers(rows, outputs, references, fitted)
rows = answers_without_model(outputs, references, fitted)

`generator.questions.decide` answers what the assessment holds, without a language model. What it
leaves open is the model's answer, unless the assessment contradicts that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from db.labels import OBSERVATIONS, positives
from evaluation.answers.questions import report_questions
from evaluation.classification.calibration import MIN_STUDIES, cross_fitted
from evaluation.outputs.names import SERVED, WITHOUT_MODEL
from evaluation.outputs.rows import AnswerRow, Outputs
from evaluation.reports.references import References
from evaluation.reports.systems import stored_assessment
from generator.assessment.calibration import Calibration
from generator.grounding.answers import check_answer
from generator.questions.decide import decide, decide_all
from generator.questions.report import settled_answer


def served_answers(
    rows: Sequence[AnswerRow],
    outputs: Outputs,
    references: References,
    calibrations: Mapping[str, Calibration],
) -> list[AnswerRow]:
    """The answers of the first condition, each with the calibration of its study."""
    return [
        replace(
            row,
            system=SERVED,
            text=_served(row, outputs, references, calibrations[row.group]),
        )
        for row in rows
    ]


def answers_without_model(
    outputs: Outputs, references: References, calibrations: Mapping[str, Calibration]
) -> list[AnswerRow]:
    """Answers to the questions made from the reports, where no model was asked."""
    rows = []
    for question in report_questions([references.cases[s.study_id] for s in references.studies]):
        assessment = stored_assessment(
            outputs, references, question.group, calibrations[question.group]
        )
        retrieval = references.retrieval(outputs, question.group)
        rows.append(
            AnswerRow(
                system=WITHOUT_MODEL,
                questions=question.questions,
                question_id=question.question_id,
                group=question.group,
                question=question.text,
                reference=question.answer,
                closed=question.closed,
                text=decide_all(question.text, assessment, retrieval).text,
            )
        )
    return rows


def calibrations(
    outputs: Outputs, references: References, calibration: Calibration
) -> dict[str, Calibration]:
    """Study to the calibration that assesses it.

    Where the shipped one was fitted on the very split that is measured, that is one fitted on the
    nine tenths of the patients that the study's is not among; for fewer than `MIN_STUDIES` patients
    it stays the shipped one.
    """
    about, studies = outputs.about, references.studies
    patients = [study.patient_id or study.study_id for study in studies]
    fitted_here = f"{about.split} of {about.source}" in calibration.fitted_on and (
        len(set(patients)) >= MIN_STUDIES
    )
    images = [outputs.images[study.study_id] for study in studies]
    if not fitted_here or any(image.label_scores is None for image in images):
        return {study.study_id: calibration for study in studies}
    knn = np.array([[image.votes[name] for name in OBSERVATIONS] for image in images])
    head = np.array([[(image.label_scores or {})[n] for n in OBSERVATIONS] for image in images])
    found = cross_fitted(
        patients,
        knn=knn,
        label_head=head,
        truth=positives([study.labels for study in studies]),
    )
    return {study.study_id: one for study, one in zip(studies, found, strict=True)}


def _served(
    row: AnswerRow, outputs: Outputs, references: References, calibration: Calibration
) -> str:
    assessment = stored_assessment(outputs, references, row.group, calibration)
    retrieval = references.retrieval(outputs, row.group)
    if (decided := decide(row.question, assessment, retrieval)) is not None:
        return decided.text
    written = check_answer(row.question, row.text, references.context(row.context), retrieval)
    if assessment.contradicted(written.labels):
        return settled_answer(written.labels, assessment).text
    return written.text
