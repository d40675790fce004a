"""Wire types of a generation: what the service says of it, apart from how it is stored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

import msgspec

from api.schemas.case_keys import case_key
from api.schemas.cases import CaseKey
from api.schemas.searches import LeftOutDocument, OodDocument, Score
from api.schemas.statements import (
    Available,
    ObservationDocument,
    StatementDocument,
)
from db.app.generation import (
    Generation,
    StoredOrigin,
)
from db.app.generations import Page
from generator.grounding.report import NOTICE


class HitDocument(msgspec.Struct, kw_only=True):
    """A retrieved case, by the number that citations use."""

    number: int
    case: CaseKey
    source: str
    study_id: str
    score: Score
    case_available: bool
    cited: bool


class IndexReference(msgspec.Struct, kw_only=True):
    """The index that a generation was made with."""

    fingerprint: str
    source: str
    current: bool
    """Whether it is the one that is open now."""


class OriginDocument(msgspec.Struct, kw_only=True):
    """What it takes, beside images, options, index and hits, to make the same text again."""

    program: str
    encoder: str
    encoder_sha256: str
    """Of its weights, as the other digests here."""
    model: str | None
    """Null where no language model wrote."""
    model_sha256: str | None
    adapter: str | None
    adapter_sha256: str | None
    prompt_version: str | None
    seed: int | None
    sampling: Mapping[str, Any]

    @classmethod
    def of(cls, origin: StoredOrigin | None) -> Self | None:
        if origin is None:
            return None
        return msgspec.convert(origin, cls, from_attributes=True)


class GenerationDocument(msgspec.Struct, kw_only=True):
    """A stored text with everything it rests on."""

    id: UUID
    status: Literal["done"] = "done"
    created_at: datetime
    created_by: str | None
    """The API key that asked, by name."""
    task: str
    """`report`, `ask`, `classify` or `caption`."""
    question: str | None
    """Null but for the task `ask`."""
    indication: str | None
    text: str
    generator: str
    origin: OriginDocument | None
    """Null for those from before it was kept."""
    index: IndexReference
    images_sha256: list[str]
    options: Mapping[str, Any]
    notes: list[str]
    label_scores: Mapping[str, float] | None
    """Observation to probability from the encoder's label head, uncalibrated."""
    ood: OodDocument | None
    """Null where it was not judged."""
    statements: list[StatementDocument]
    """An answer and a caption are one; classes are those that are more likely than not."""
    observations: list[ObservationDocument] | None
    """Null but for the task `classify`."""
    calibrated_on: str | None
    """The studies on which the probabilities were fitted; null where they were not."""
    hits: list[HitDocument]
    left_out: list[LeftOutDocument]
    notice: str = NOTICE

    @classmethod
    def of(cls, generation: Generation, available: Available, fingerprint: str) -> Self:
        """``fingerprint`` is that of the index that is open now."""
        cited = {c.number for s in generation.statements for c in s.citations}
        return cls(
            id=generation.id,
            created_at=generation.created_at,
            created_by=generation.created_by,
            task=generation.task,
            question=generation.question,
            indication=generation.indication,
            text=generation.text,
            generator=generation.generator,
            origin=OriginDocument.of(generation.origin),
            index=IndexReference(
                fingerprint=generation.index_fingerprint,
                source=generation.index_source,
                current=generation.index_fingerprint == fingerprint,
            ),
            images_sha256=list(generation.images_sha256),
            options=generation.options,
            notes=list(generation.notes),
            label_scores=generation.label_scores,
            ood=OodDocument.of(generation.ood),
            statements=[StatementDocument.of(s, available) for s in generation.statements],
            observations=[ObservationDocument.of(one) for one in generation.observations] or None,
            calibrated_on=generation.calibrated_on,
            hits=[
                HitDocument(
                    number=hit.number,
                    case=case_key(hit.source, hit.study_id),
                    source=hit.source,
                    study_id=hit.study_id,
                    score=hit.score,
                    case_available=(hit.source, hit.study_id) in available,
                    cited=hit.number in cited,
                )
                for hit in generation.hits
            ],
            left_out=[LeftOutDocument.of(left_out) for left_out in generation.left_out],
        )


class GenerationSummary(msgspec.Struct, kw_only=True):
    """A line of the history."""

    id: UUID
    created_at: datetime
    created_by: str | None
    task: str
    question: str | None
    generator: str
    text: str
    images: int
    cited_cases: int
    in_distribution: bool | None
    """As in the verdict; null without one."""

    @classmethod
    def of(cls, generation: Generation) -> Self:
        ood = generation.ood
        return cls(
            id=generation.id,
            created_at=generation.created_at,
            created_by=generation.created_by,
            task=generation.task,
            question=generation.question,
            generator=generation.generator,
            text=generation.text,
            images=len(generation.images_sha256),
            cited_cases=len(generation.cited),
            in_distribution=None if ood is None else ood.in_distribution,
        )


class GenerationList(msgspec.Struct, kw_only=True):
    """A page of the history, newest first."""

    generations: list[GenerationSummary]
    total: int
    """Of all that pass the filters."""
    next_before: UUID | None
    """Give it as `before` for the page that follows; null on the last one."""

    @classmethod
    def of(cls, page: Page) -> Self:
        return cls(
            generations=[GenerationSummary.of(generation) for generation in page.generations],
            total=page.total,
            next_before=page.generations[-1].id if page.more else None,
        )
