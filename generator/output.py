"""What the command line prints: a page for a person, a document for a machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from db.index.store import Section
from generator.grounding.answers import Answer
from generator.grounding.report import Citation, GroundedReport
from generator.tasks import Classification
from retriever.results import Hit, Retrieval


def report_document(index: Path, retrieval: Retrieval, report: GroundedReport) -> dict[str, Any]:
    """A report as JSON; see ``generator.__main__`` for the keys."""

    def statements(section: Section) -> list[dict[str, Any]]:
        return [
            {
                "text": statement.text,
                "labels": dict(statement.labels),
                "citations": _citations(statement.citations),
                "found_afterwards": statement.found_afterwards,
                "added": statement.added,
                "removed": [
                    {"number": one.number, "reason": one.reason} for one in statement.removed
                ],
                "case_support": statement.case_support,
                "image_support": statement.image_support,
                "contradiction": statement.contradiction,
            }
            for statement in report.section(section)
        ]

    return {
        **_head(index, retrieval, report),
        "findings": statements("findings"),
        "impression": statements("impression"),
        "cases": _cases(report.cited_hits),
        "left_out": [
            {
                "source": left.source,
                "study_id": left.study_id,
                "score": left.score,
                "reason": left.reason,
            }
            for left in retrieval.left_out
        ],
        "notes": list(report.notes),
        "label_scores": None if report.label_scores is None else dict(report.label_scores),
        "as_written": report.as_written,
    }


def answer_document(index: Path, retrieval: Retrieval, answer: Answer) -> dict[str, Any]:
    """An answer as JSON."""
    numbers = {citation.number for citation in answer.citations}
    return {
        **_head(index, retrieval, answer),
        "question": answer.question,
        "answer": answer.text,
        "citations": _citations(answer.citations),
        "removed": [{"number": one.number, "reason": one.reason} for one in answer.removed],
        "image_support": answer.image_support,
        "cases": _cases([hit for hit in answer.hits if hit.rank in numbers]),
        "notes": list(answer.notes),
        "as_written": answer.as_written,
    }


def classification_document(
    index: Path, retrieval: Retrieval, result: Classification
) -> dict[str, Any]:
    """Probabilities as JSON."""
    return {
        **_head(index, retrieval, result),
        "calibrated_on": result.calibrated_on,
        "observations": {
            name: {
                "probability": opinion.probability,
                "model": opinion.model,
                "vote": opinion.vote.probability,
                "vote_interval": [opinion.vote.low, opinion.vote.high],
                "image": opinion.image,
            }
            for name, opinion in result.observations.items()
        },
        "notes": list(result.notes),
    }


def report_page(retrieval: Retrieval, report: GroundedReport) -> str:
    """A report with its cited cases, for a terminal."""
    quotes: dict[int, list[str]] = {hit.rank: [] for hit in report.cited_hits}
    for statement in report.statements:
        for citation in statement.citations:
            if citation.quote not in quotes[citation.number]:
                quotes[citation.number].append(citation.quote)
    lines = [report.marked_text, "", "CITED CASES"]
    for hit in report.cited_hits:
        lines.append(f"  [{hit.rank}] {hit.case.source} {hit.case.study_id}, score {hit.score:.3f}")
        lines += [f'      "{" ".join(quote.split())}"' for quote in quotes[hit.rank]]
    lines += [
        f"contradicted by the image: “{statement.text}” ({statement.contradiction})"
        for statement in report.statements
        if statement.contradiction
    ]
    lines += [f"note: {note}" for note in report.notes]
    lines += [
        f"left out: {left.source} {left.study_id} (score {left.score:.3f}), {left.reason}"
        for left in retrieval.left_out
    ]
    return "\n".join([*lines, "", report.notice])


def answer_page(answer: Answer) -> str:
    """An answer with its cited cases, for a terminal."""
    lines = [str(answer)]
    for one in answer.citations:
        lines.append(f"  [{one.number}] {one.source} {one.study_id}, score {one.score:.3f}")
        lines.append(f'      "{" ".join(one.quote.split())}"')
    return "\n".join([*lines, *(f"note: {note}" for note in answer.notes), "", answer.notice])


def classification_page(result: Classification) -> str:
    """A table, likeliest first."""
    lines = [f"{'':28}probability  model   vote   image"]
    ordered = sorted(result.observations.items(), key=lambda pair: -pair[1].probability)
    for name, one in ordered:
        image = "     -" if one.image is None else f"{one.image:6.2f}"
        lines.append(
            f"{name:28}{one.probability:11.2f} {one.model:6.2f} {one.vote.probability:6.2f} {image}"
        )
    lines += [f"calibrated on {result.calibrated_on}", *(f"note: {note}" for note in result.notes)]
    return "\n".join([*lines, "", result.notice])


def _head(
    index: Path, retrieval: Retrieval, result: GroundedReport | Answer | Classification
) -> dict[str, Any]:
    return {
        "notice": result.notice,
        "generator": result.generator,
        "index": {
            "path": str(index),
            "source": retrieval.source,
            "fingerprint": result.index_fingerprint,
        },
    }


def _citations(citations: Sequence[Citation]) -> list[dict[str, Any]]:
    return [
        {
            "number": citation.number,
            "source": citation.source,
            "study_id": citation.study_id,
            "score": citation.score,
            "quote": citation.quote,
        }
        for citation in citations
    ]


def _cases(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    return [
        {
            "number": hit.rank,
            "source": hit.case.source,
            "study_id": hit.case.study_id,
            "score": hit.score,
            "findings": hit.case.findings,
            "impression": hit.case.impression,
        }
        for hit in hits
    ]
