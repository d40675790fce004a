"""What is kept of a report: the text, what it rests on, and how it was searched for."""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from db.generation import (
    Generation,
    StoredCitation,
    StoredHit,
    StoredLeftOut,
    StoredOrigin,
    StoredStatement,
    StoredVerdict,
)
from generator.grounded import GroundedReport
from retriever.options import SearchOptions
from retriever.retrieval import Retrieval


def to_generation(
    report: GroundedReport,
    retrieval: Retrieval,
    options: SearchOptions,
    *,
    generation_id: UUID,
    created_at: datetime,
    created_by: str,
    origin: StoredOrigin,
) -> Generation:
    """What is kept of a report and the search behind it."""
    return Generation(
        id=generation_id,
        created_at=created_at,
        task="report",
        text=report.text,
        generator=report.generator,
        index_fingerprint=report.index_fingerprint,
        index_source=retrieval.source,
        films_sha256=retrieval.films_sha256,
        options={
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(options).items()
            if name != "text_weight"  # a report has no words to weigh
        },
        notes=tuple(dict.fromkeys((*retrieval.notes, *report.notes))),
        label_scores=report.label_scores,
        verdict=(None if retrieval.verdict is None else StoredVerdict(**asdict(retrieval.verdict))),
        statements=tuple(
            StoredStatement(
                section=statement.section,
                text=statement.text,
                labels=statement.labels,
                citations=tuple(
                    StoredCitation(**asdict(citation)) for citation in statement.citations
                ),
            )
            for statement in report.statements
        ),
        hits=tuple(
            StoredHit(
                number=hit.rank,
                source=hit.case.source,
                study_id=hit.case.study_id,
                score=hit.score,
            )
            for hit in report.hits
        ),
        left_out=tuple(StoredLeftOut(**asdict(left_out)) for left_out in retrieval.left_out),
        created_by=created_by,
        origin=origin,
    )
