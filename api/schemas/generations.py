"""Wire types of the history; a generation itself goes over the wire as it is.

See `db.app.generation.Generation`.
"""

from datetime import datetime
from typing import Self
from uuid import UUID

import msgspec

from db.app.generation import Generation
from db.app.generations import Page


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
    """As in `ood`; null if it was not judged."""

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
    """Number of generations that match the filters."""
    next_before: UUID | None
    """The value of `before` for the next page; null on the last page."""

    @classmethod
    def of(cls, page: Page) -> Self:
        return cls(
            generations=[GenerationSummary.of(generation) for generation in page.generations],
            total=page.total,
            next_before=page.generations[-1].id if page.more else None,
        )
