"""What is kept of a report: the text, what it rests on, and how it was searched for.

Not kept is what a language model wrote before the check, word by word: it may hold a sentence of a
case that is withdrawn later. The citations that were taken out stand beside each statement.
"""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from api.pipeline.observations import Classified
from api.pipeline.request import Order
from db.app.generation import (
    Generation,
    StoredCheck,
    StoredCitation,
    StoredHit,
    StoredLeftOut,
    StoredOodCheck,
    StoredOrigin,
    StoredRemoved,
    StoredStatement,
)
from generator.grounding.report import GroundedReport, Statement
from retriever.results import Retrieval


def to_generation(
    report: GroundedReport,
    retrieval: Retrieval,
    order: Order,
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
        task=order.task,
        question=order.question,
        indication=order.indication,
        text=report.text,
        generator=report.generator,
        index_fingerprint=report.index_fingerprint,
        index_source=retrieval.source,
        images_sha256=retrieval.images_sha256,
        options={
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(order.options).items()
            if name != "text_weight"  # a report has no words to weigh
        },
        notes=_notes(report, retrieval),
        label_scores=report.label_scores,
        ood=(None if retrieval.ood is None else StoredOodCheck(**asdict(retrieval.ood))),
        statements=tuple(_to_statement(statement) for statement in report.statements),
        observations=report.observations if isinstance(report, Classified) else (),
        calibrated_on=report.calibrated_on if isinstance(report, Classified) else None,
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


def _to_statement(statement: Statement) -> StoredStatement:
    return StoredStatement(
        section=statement.section,
        text=statement.text,
        labels=statement.labels,
        citations=tuple(StoredCitation(**asdict(citation)) for citation in statement.citations),
        check=StoredCheck(
            found_afterwards=statement.found_afterwards,
            added=statement.added,
            removed=tuple(StoredRemoved(**asdict(one)) for one in statement.removed),
            case_support=statement.case_support,
            image_support=statement.image_support,
            contradiction=statement.contradiction,
        ),
    )


def _notes(report: GroundedReport, retrieval: Retrieval) -> tuple[str, ...]:
    """Each once; whatever wrote, an unusual image is told of."""
    notes = dict.fromkeys((*retrieval.notes, *report.notes))
    ood = retrieval.ood
    if ood is None or ood.in_distribution or any(ood.reason in note for note in notes):
        return tuple(notes)
    return (*notes, f"do not rely on this: {ood.reason}")
