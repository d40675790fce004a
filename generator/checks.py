"""From the raw output of a language model to a grounded report, one function per task.

report = check_report(study, "The heart is enlarged. [1]", generator="MODEL, prompts-4")
report.statements[0].citations, report.notes

Each function resolves the citations of an output and removes those that the cited report does not
support; see `generator.grounding`.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from db.labels import OBSERVATIONS
from generator.calibration import Calibration
from generator.classification import Classification, observe, to_classification
from generator.context.build import Context
from generator.grounding import answers
from generator.grounding.citations import check_citations
from generator.grounding.omitted_findings import add_omitted_findings, omission_notes
from generator.grounding.report import GroundedReport
from generator.grounding.written import parse_cited_sentences
from generator.retrieved_study import RetrievedStudy


def check_report(study: RetrievedStudy, written: str, *, generator: str) -> GroundedReport:
    """Findings and impression; findings that the model omitted are added."""
    report = _grounded(study, written, study.context, written, generator)
    statements = add_omitted_findings(report.statements, study.context, study.retrieval)
    notes = omission_notes(statements, study.retrieval)
    return replace(report, statements=statements, notes=(*report.notes, *notes))


def check_caption(study: RetrievedStudy, written: str, *, generator: str) -> GroundedReport:
    """The first sentence of a caption."""
    text = f"Impression: {written}"
    caption = _grounded(study, text, study.short_context, written, generator)
    return replace(caption, statements=caption.statements[:1])


def check_answer(
    study: RetrievedStudy, question: str, written: str, *, generator: str
) -> GroundedReport:
    """An answer as one statement, or no statement if the model wrote nothing."""
    statement = answers.check_answer(question, written, study.short_context, study.retrieval)
    silent = () if statement.text else ("the model wrote no answer",)
    return GroundedReport(
        statements=(statement,) if statement.text else (),
        hits=study.short_context.hits,
        generator=generator,
        index_fingerprint=study.retrieval.index_fingerprint,
        notes=(*study.notes, *silent),
        label_scores=study.retrieval.label_scores,
        as_written=written,
    )


def check_classes(
    study: RetrievedStudy,
    likelihoods: Any,
    observations: Sequence[str] = OBSERVATIONS,
    *,
    calibration: Calibration,
    generator: str,
) -> Classification:
    """``likelihoods``: natural log-probabilities of yes and no, (observations, 2)."""
    scores, fitted_on = study.retrieval.label_scores, calibration.fitted_on
    return to_classification(
        [
            observe(
                name,
                study.votes[name],
                language_model=1 / (1 + math.exp(min(float(no - yes), 500.0))),
                label_head=None if scores is None else scores[name],
                calibration=calibration,
            )
            for name, (yes, no) in zip(observations, likelihoods, strict=True)
        ],
        study.retrieval,
        hits=study.short_context.hits,
        generator=generator,
        calibrated_on=None if fitted_on == Calibration().fitted_on else fitted_on,
        notes=study.notes,
    )


def _grounded(
    study: RetrievedStudy, text: str, context: Context, written: str, generator: str
) -> GroundedReport:
    checked = check_citations(parse_cited_sentences(text), context, study.retrieval)
    notes = [*study.notes, *checked.notes]
    if not checked.statements:
        notes.append("no sentence of the model passed the checks")
    return GroundedReport(
        statements=checked.statements,
        hits=context.hits,
        generator=generator,
        index_fingerprint=study.retrieval.index_fingerprint,
        notes=tuple(notes),
        label_scores=study.retrieval.label_scores,
        as_written=written,
    )
