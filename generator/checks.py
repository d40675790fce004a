"""From the raw output of a language model to a grounded report, one function per task.

report = check_report(study, "The heart is enlarged. [1]", generator="MODEL, prompts-4")
report.statements[0].citations, report.warnings, report.notes

Each function resolves the citations of an output, removes those that the cited report does not
support (`generator.grounding`), and makes the rest agree with the assessment of the study.
"""

import math
from dataclasses import replace
from typing import Any

from db.labels import OBSERVATIONS
from generator.assessment.assess import Assessment
from generator.assessment.classification import Classification, to_classification
from generator.assessment.situation import study_warnings, text_warnings
from generator.context.build import Context
from generator.grounding import answers
from generator.grounding.citations import check_citations
from generator.grounding.consistency import (
    find_support,
    leave_out_contradictions,
    make_consistent,
    notes_on_unshown,
    word_findings,
)
from generator.grounding.report import GroundedReport
from generator.grounding.written import parse_cited_sentences
from generator.retrieved_study import RetrievedStudy


def check_report(study: RetrievedStudy, written: str, *, generator: str) -> GroundedReport:
    """Findings and impression; present findings that the model omitted are added."""
    report = _grounded(study, written, study.context, written, generator)
    agreed = make_consistent(report.statements, study.context, study.retrieval, study.assessment)
    return replace(
        report,
        statements=agreed.statements,
        hits=agreed.hits,
        warnings=(
            *report.warnings,
            *text_warnings(agreed.statements, study.assessment.present, study.assessment),
        ),
        notes=(*report.notes, *agreed.notes),
    )


def check_caption(study: RetrievedStudy, written: str, *, generator: str) -> GroundedReport:
    """The first sentence of a caption that agrees with the assessment."""
    text = f"Impression: {written}"
    caption = _grounded(study, text, study.short_context, written, generator)
    kept, notes = leave_out_contradictions(caption.statements, study.assessment)
    kept, hits = find_support(kept[:1], study.short_context, study.retrieval)
    if caption.statements and not kept:
        worded = word_findings(
            study.assessment.present[:1], "impression", study.short_context, study.retrieval
        )
        kept, hits = list(worded.statements), worded.hits
    empty = () if kept else ("Nothing is stated.",)
    return replace(
        caption,
        statements=tuple(kept),
        hits=hits,
        warnings=(*caption.warnings, *empty),
        notes=(*caption.notes, *notes, *notes_on_unshown(hits, study.short_context)),
    )


def decided_answer(study: RetrievedStudy, question: str) -> GroundedReport | None:
    """The answer that the assessment or a rule gives; None where a model has to."""
    from generator.questions.decide import decide  # its many patterns take a second to compile
    from generator.questions.report import answer_report

    answer = decide(question, study.assessment, study.retrieval)
    if answer is None:
        return None
    return answer_report(
        answer,
        study.retrieval,
        study.assessment,
        hits=study.short_context.hits,
        notes=study.notes,
    )


def check_answer(
    study: RetrievedStudy, question: str, written: str, *, generator: str
) -> GroundedReport:
    """An answer as one statement, or no statement if the model wrote nothing.

    An answer that the assessment contradicts is replaced by what the assessment says.
    """
    statement = answers.check_answer(question, written, study.short_context, study.retrieval)
    silent = () if statement.text else ("the model wrote no answer",)
    kept, notes = leave_out_contradictions([statement], study.assessment)
    if not kept:
        from generator.questions.report import settled_answer

        kept = [settled_answer(statement.labels, study.assessment)]
    return GroundedReport(
        statements=tuple(kept) if statement.text else (),
        hits=study.short_context.hits,
        generator=generator,
        index_fingerprint=study.retrieval.index_fingerprint,
        warnings=study_warnings(study.retrieval),
        notes=(*study.notes, *silent, *notes),
        label_scores=study.retrieval.label_scores,
        assessment=study.assessment,
        as_written=written,
    )


def check_classes(
    study: RetrievedStudy, assessment: Assessment, *, generator: str
) -> Classification:
    """The assessment with the language model's opinions in it."""
    classes = to_classification(
        assessment,
        study.retrieval,
        hits=study.short_context.hits,
        generator=generator,
        notes=study.notes,
    )
    return replace(classes, warnings=study_warnings(study.retrieval))


def yes_probabilities(likelihoods: Any) -> dict[str, float]:
    """Observation to probability; ``likelihoods`` are natural log-probabilities of yes and no,
    (14, 2)."""
    return {
        name: 1 / (1 + math.exp(min(float(no - yes), 500.0)))
        for name, (yes, no) in zip(OBSERVATIONS, likelihoods, strict=True)
    }


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
        warnings=study_warnings(study.retrieval),
        notes=tuple(notes),
        label_scores=study.retrieval.label_scores,
        assessment=study.assessment,
        as_written=written,
    )
