"""Answers as statements and reports, with the hits whose reports say the same."""

from collections.abc import Sequence

from db.app.generation import Statement
from db.index.case import Case
from db.labels import NO_FINDING, Labels
from generator.assessment.assess import Assessment
from generator.assessment.situation import study_warnings
from generator.grounding.answers import find_support
from generator.grounding.report import GroundedReport, cite
from generator.questions.answer import DecidedAnswer, labels_of, stated
from generator.questions.premise import topic_sentence
from generator.questions.presence import all_findings
from retriever.results import Hit, Retrieval

ANSWERS_VERSION = "assessment-2"
MOST_CITED = 2


def answer_report(
    answer: DecidedAnswer,
    retrieval: Retrieval,
    assessment: Assessment,
    *,
    hits: Sequence[Hit],
    notes: Sequence[str] = (),
) -> GroundedReport:
    """A decided answer as a report of one statement."""
    return GroundedReport(
        statements=(to_statement(answer, hits, retrieval),),
        hits=tuple(hits),
        generator=ANSWERS_VERSION,
        index_fingerprint=retrieval.index_fingerprint,
        warnings=study_warnings(retrieval),
        notes=tuple(notes),
        label_scores=retrieval.label_scores,
        assessment=assessment,
    )


def settled_answer(labels: Labels, assessment: Assessment) -> Statement:
    """What the assessment says of the observations that a contradicted answer was about."""
    names = [name for name in labels if name != NO_FINDING]
    if not names:
        answer = all_findings(assessment)
        return Statement(section="impression", text=answer.text, labels=dict(answer.labels))
    return Statement(
        section="impression",
        text=" ".join(stated(name, assessment) for name in names),
        labels=labels_of(names, assessment),
    )


def to_statement(answer: DecidedAnswer, hits: Sequence[Hit], retrieval: Retrieval) -> Statement:
    """The answer with the hits whose reports say the same."""
    quotes = [(hit, _quote(hit, answer)) for hit in hits]
    return Statement(
        section="impression",
        text=answer.text,
        labels=dict(answer.labels),
        citations=tuple(
            cite(hit, quote, retrieval.index_fingerprint) for hit, quote in quotes if quote
        )[:MOST_CITED],
    )


def _quote(hit: Hit, answer: DecidedAnswer) -> str | None:
    if hit.case.case_id in answer.quotes:
        return answer.quotes[hit.case.case_id]
    if answer.labels:
        return _labelled(hit.case, answer.labels)
    return topic_sentence(answer.topics, hit) if answer.topics else None


def _labelled(case: Case, labels: Labels) -> str | None:
    said = "yes" if set(labels.values()) <= {"positive", "uncertain"} else "no"
    plain = {n: "negative" if s == "negative" else "positive" for n, s in labels.items()}
    return find_support(case, plain, "", said)  # type: ignore[arg-type]
