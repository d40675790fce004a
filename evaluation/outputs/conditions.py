"""The conditions of an evaluation: what a model is shown, and baselines without a model."""

from collections.abc import Sequence
from dataclasses import replace

from db.app.generation import Statement
from db.index.store import Case
from db.labels import named
from evaluation.outputs.names import (
    EXTRACTIVE,
    IMAGE_FINDINGS_WITHHELD,
    IMAGE_ONLY,
    MOST_FREQUENT,
    NEAREST,
    NORMAL,
    RANDOM,
    WITHOUT_RETRIEVAL,
)
from evaluation.outputs.rows import ReportRow
from evaluation.retrieval.studies import EvaluationStudy
from evaluation.retrieval.systems import (
    NORMAL_REPORT,
    constant,
    most_frequent_findings,
    random_cases,
)
from generator.assessment.calibration import Calibration
from generator.request import GenerationRequest
from generator.without_model import run_without_model
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.results import Hit, Retrieval
from retriever.search import Retriever

K_EXTRACTIVE = 10
"""Hits that the extractive generator has on the command line."""


def shown(condition: str, retrieval: Retrieval) -> Retrieval:
    """Return the part of a retrieval that the model may use under a condition."""
    if condition == WITHOUT_RETRIEVAL:
        return replace(retrieval, hits=())
    if condition == IMAGE_FINDINGS_WITHHELD:
        seen = frozenset(retrieval.image_findings or ())
        kept = tuple(hit for hit in retrieval.hits if not seen & named(hit.case.labels))
        return replace(retrieval, hits=kept)
    if condition == IMAGE_ONLY:
        return replace(retrieval, hits=(), label_scores=None, label_thresholds=None)
    return retrieval


def case_name(case: Case) -> str:
    """Name a case as outputs do: ``source/study_id``."""
    return f"{case.source}/{case.study_id}"


def case_names(hits: Sequence[Hit]) -> tuple[str, ...]:
    return tuple(case_name(hit.case) for hit in hits)


def extractive_row(
    study_id: str, retriever: Retriever, query: Query, calibration: Calibration
) -> ReportRow:
    """The report without a language model, in the form that a language model writes."""
    request = GenerationRequest(options=SearchOptions(k=K_EXTRACTIVE))
    retrieval, report = run_without_model(retriever, query, request, calibration=calibration)
    return ReportRow(
        system=EXTRACTIVE,
        study_id=study_id,
        text=marked(report.statements),
        context=case_names(retrieval.hits),
    )


def marked(statements: Sequence[Statement]) -> str:
    """``Findings: The heart is enlarged. [1][4] Impression: Cardiomegaly. [2]``"""
    parts = []
    for section in ("findings", "impression"):
        said = [one for one in statements if one.section == section]
        if said:
            parts.append(f"{section.capitalize()}:")
        for statement in said:
            numbers = sorted({citation.number for citation in statement.citations})
            parts += [statement.text, "".join(f"[{number}]" for number in numbers)]
    return " ".join(part for part in parts if part)


def nearest_row(study_id: str, hits: Sequence[Hit]) -> ReportRow:
    """The nearest case that has findings, copied."""
    hits = sorted(hits, key=lambda hit: -hit.score)
    case = next((hit.case for hit in hits if hit.case.findings), hits[0].case)
    return ReportRow(
        system=NEAREST,
        study_id=study_id,
        text=case.findings,
        context=(case_name(case),),
        labels=dict(case.labels),
    )


def baseline_rows(retriever: Retriever, studies: Sequence[EvaluationStudy]) -> list[ReportRow]:
    """Return the outputs of baselines that look at no image."""
    cases = list(retriever.index.cases)
    systems = (
        constant(MOST_FREQUENT, most_frequent_findings(cases), studies),
        constant(NORMAL, NORMAL_REPORT, studies),
        random_cases(RANDOM, retriever, cases, studies),
    )
    return [
        ReportRow(system=system.name, study_id=study.study_id, text=text, labels=dict(labels))
        for system in systems
        for study, text, labels in zip(
            studies, system.texts or (), system.labels or (), strict=True
        )
    ]
