"""Generations to rows of the application database, and back."""

from dataclasses import asdict
from datetime import UTC
from typing import Any
from uuid import UUID

from db.app.generation import (
    Generation,
    StoredCheck,
    StoredCitation,
    StoredHit,
    StoredLeftOut,
    StoredObservation,
    StoredOodCheck,
    StoredOrigin,
    StoredRemoved,
    StoredStatement,
)
from db.app.models import CitationRow, GenerationRow, HitRow, StatementRow


def to_row(generation: Generation) -> GenerationRow:
    return GenerationRow(
        id=str(generation.id),
        created_at=generation.created_at.astimezone(UTC).replace(tzinfo=None),
        task=generation.task,
        text=generation.text,
        generator=generation.generator,
        index_fingerprint=generation.index_fingerprint,
        index_source=generation.index_source,
        images_sha256=list(generation.images_sha256),
        options=dict(generation.options),
        notes=list(generation.notes),
        label_scores=None if generation.label_scores is None else dict(generation.label_scores),
        ood=None if generation.ood is None else asdict(generation.ood),
        left_out=[asdict(left_out) for left_out in generation.left_out],
        statements=[
            StatementRow(
                position=position,
                section=statement.section,
                text=statement.text,
                labels=dict(statement.labels),
                check=None if statement.check == StoredCheck() else asdict(statement.check),
                citations=[
                    CitationRow(position=place, **asdict(citation))
                    for place, citation in enumerate(statement.citations)
                ],
            )
            for position, statement in enumerate(generation.statements)
        ],
        hits=[HitRow(**asdict(hit)) for hit in generation.hits],
        created_by=generation.created_by,
        origin=None if generation.origin is None else asdict(generation.origin),
        question=generation.question,
        indication=generation.indication,
        observations=[asdict(one) for one in generation.observations] or None,
        calibrated_on=generation.calibrated_on,
    )


def to_generation(row: GenerationRow) -> Generation:
    return Generation(
        id=UUID(row.id),
        created_at=row.created_at.replace(tzinfo=UTC),
        task=row.task,
        text=row.text,
        generator=row.generator,
        index_fingerprint=row.index_fingerprint,
        index_source=row.index_source,
        images_sha256=tuple(row.images_sha256),
        options=row.options,
        notes=tuple(row.notes),
        label_scores=row.label_scores,
        ood=None if row.ood is None else StoredOodCheck(**row.ood),
        statements=tuple(
            StoredStatement(
                section=statement.section,
                text=statement.text,
                labels=statement.labels,
                check=_to_check(statement.check),
                citations=tuple(
                    StoredCitation(
                        number=citation.number,
                        source=citation.source,
                        study_id=citation.study_id,
                        index_fingerprint=citation.index_fingerprint,
                        quote=citation.quote,
                        score=citation.score,
                    )
                    for citation in statement.citations
                ),
            )
            for statement in row.statements
        ),
        hits=tuple(
            StoredHit(number=hit.number, source=hit.source, study_id=hit.study_id, score=hit.score)
            for hit in row.hits
        ),
        left_out=tuple(StoredLeftOut(**left_out) for left_out in row.left_out),
        created_by=row.created_by,
        origin=None if row.origin is None else StoredOrigin(**row.origin),
        question=row.question,
        indication=row.indication,
        observations=tuple(
            StoredObservation(**{**one, "cases": tuple(one["cases"])})
            for one in row.observations or ()
        ),
        calibrated_on=row.calibrated_on,
    )


def _to_check(stored: dict[str, Any] | None) -> StoredCheck:
    if stored is None:
        return StoredCheck()
    removed = tuple(StoredRemoved(**one) for one in stored["removed"])
    return StoredCheck(**{**stored, "removed": removed})
