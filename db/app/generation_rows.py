"""Convert generations to rows of the application database and back."""

import datetime
from dataclasses import asdict
from datetime import UTC
from typing import Any
from uuid import UUID

from db.app.generation import (
    Citation,
    ExcludedCase,
    Generation,
    GenerationHit,
    IndexReference,
    OodCheck,
    Origin,
    RemovedCitation,
    ScoreRegion,
    Statement,
)
from db.app.models import CitationRow, GenerationRow, HitRow, StatementRow
from db.app.observations import Change, Observation, PriorStudy

_CHECK = (
    "citations_added",
    "added_by_rule",
    "removed_citations",
    "case_support",
    "image_support",
    "contradiction",
    "change",
)
"""Fields of a statement that are stored as one JSON object."""
_DATES = ("date", "study_date")
_NO_CHECK = {name: getattr(Statement(section="findings", text=""), name) for name in _CHECK}


def to_row(generation: Generation) -> GenerationRow:
    return GenerationRow(
        id=str(generation.id),
        created_at=generation.created_at.astimezone(UTC).replace(tzinfo=None),
        task=generation.task,
        text=generation.text,
        generator=generation.generator,
        index_fingerprint=generation.index.fingerprint,
        index_source=generation.index.source,
        images_sha256=list(generation.images_sha256),
        options=dict(generation.options),
        notes=list(generation.notes),
        warnings=list(generation.warnings),
        technical_notes=list(generation.technical_notes),
        label_scores=None if generation.label_scores is None else dict(generation.label_scores),
        ood=None if generation.ood is None else asdict(generation.ood),
        excluded_cases=[asdict(one) for one in generation.excluded_cases],
        statements=[
            StatementRow(
                position=position,
                section=statement.section,
                text=statement.text,
                labels=dict(statement.labels),
                check=_check_of(statement),
                citations=[
                    CitationRow(
                        position=place,
                        number=citation.number,
                        source=citation.source,
                        study_id=citation.study_id,
                        index_fingerprint=citation.index_fingerprint,
                        quote=citation.quote,
                        score=citation.score,
                    )
                    for place, citation in enumerate(statement.citations)
                ],
            )
            for position, statement in enumerate(generation.statements)
        ],
        hits=[
            HitRow(number=hit.number, source=hit.source, study_id=hit.study_id, score=hit.score)
            for hit in generation.hits
        ],
        created_by=generation.created_by,
        origin=None if generation.origin is None else asdict(generation.origin),
        question=generation.question,
        indication=generation.indication,
        observations=[asdict(one) for one in generation.observations or ()] or None,
        calibrated_on=generation.calibrated_on,
        regions=[asdict(one) for one in generation.regions] or None,
        prior=None if generation.prior is None else _of_prior(generation.prior),
    )


def to_generation(row: GenerationRow) -> Generation:
    return Generation(
        id=UUID(row.id),
        created_at=row.created_at.replace(tzinfo=UTC),
        task=row.task,
        text=row.text,
        generator=row.generator,
        index=IndexReference(fingerprint=row.index_fingerprint, source=row.index_source),
        images_sha256=tuple(row.images_sha256),
        options=row.options,
        notes=tuple(row.notes),
        warnings=tuple(row.warnings or ()),
        technical_notes=tuple(row.technical_notes or ()),
        label_scores=row.label_scores,
        ood=None if row.ood is None else OodCheck(**row.ood),
        statements=tuple(_to_statement(statement) for statement in row.statements),
        hits=tuple(
            GenerationHit(
                number=hit.number, source=hit.source, study_id=hit.study_id, score=hit.score
            )
            for hit in row.hits
        ),
        excluded_cases=tuple(ExcludedCase(**one) for one in row.excluded_cases),
        created_by=row.created_by,
        origin=None if row.origin is None else Origin(**row.origin),
        question=row.question,
        indication=row.indication,
        observations=None
        if row.observations is None
        else tuple(_to_observation(one) for one in row.observations),
        calibrated_on=row.calibrated_on,
        regions=tuple(_to_region(one) for one in row.regions or ()),
        prior=None if row.prior is None else _to_prior(row.prior),
    )


def _of_prior(prior: PriorStudy) -> dict[str, Any]:
    dates = {name: getattr(prior, name) for name in _DATES}
    return asdict(prior) | {
        name: None if date is None else date.isoformat() for name, date in dates.items()
    }


def _to_prior(stored: dict[str, Any]) -> PriorStudy:
    dates = {
        name: None if stored[name] is None else datetime.date.fromisoformat(stored[name])
        for name in _DATES
    }
    return PriorStudy(
        **{
            **stored,
            **dates,
            "images_sha256": tuple(stored["images_sha256"]),
            "observations": tuple(_to_observation(one) for one in stored["observations"]),
        }
    )


def _to_region(stored: dict[str, Any]) -> ScoreRegion:
    polygons = tuple(tuple((x, y) for x, y in polygon) for polygon in stored["polygons"])
    rows = tuple(tuple(row) for row in stored["map"])
    return ScoreRegion(**{**stored, "polygons": polygons, "map": rows})


def _to_observation(stored: dict[str, Any]) -> Observation:
    numbers = {name: tuple(stored.get(name, ())) for name in ("cases", "cases_against")}
    return Observation(**{**stored, **numbers})


def _check_of(statement: Statement) -> dict[str, Any] | None:
    """Return the fields of the check; None for a statement that was not checked."""
    found = {name: getattr(statement, name) for name in _CHECK}
    if found == _NO_CHECK:
        return None
    return {
        **found,
        "removed_citations": [asdict(one) for one in statement.removed_citations],
        "change": None if statement.change is None else asdict(statement.change),
    }


def _to_statement(row: StatementRow) -> Statement:
    check = dict(row.check or {})
    removed = tuple(RemovedCitation(**one) for one in check.pop("removed_citations", ()))
    change = check.pop("change", None)
    return Statement(
        section=row.section,
        text=row.text,
        labels=row.labels,
        citations=tuple(
            Citation(
                number=citation.number,
                source=citation.source,
                study_id=citation.study_id,
                index_fingerprint=citation.index_fingerprint,
                quote=citation.quote,
                score=citation.score,
            )
            for citation in row.citations
        ),
        removed_citations=removed,
        change=None if change is None else Change(**change),
        **check,
    )
