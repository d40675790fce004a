"""User feedback on generations, which can be used for training."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from db.app.audit_log import NewEntry, append
from db.app.models import FeedbackRow, GenerationRow
from db.app.owners import check_active, owned
from db.engines.engine import writing
from db.errors import NotFoundError

Kind = Literal["accepted", "edited", "wrong_citation"]


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """One item of feedback on one generation."""

    id: UUID
    generation_id: UUID
    created_at: datetime
    created_by: str
    kind: Kind
    text: str | None = None
    """The corrected text, if it was edited."""
    statement: int | None = None
    """Position of the statement concerned, from 0."""
    citation: int | None = None
    """The number ``[n]`` of the citation that does not support the statement."""
    comment: str | None = None


class FeedbackStore:
    """The feedback in one application database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, feedback: Feedback, *, audit: NewEntry | None = None) -> None:
        """Store feedback.

        Raises NotFoundError if the generation is not stored, and ForbiddenError if the key was
        revoked meanwhile.
        """
        with writing(self._engine) as session:
            check_active(session, feedback.created_by)
            session.add(
                FeedbackRow(
                    id=str(feedback.id),
                    generation=_number(session, feedback.generation_id, keep=True),
                    created_at=feedback.created_at.astimezone(UTC).replace(tzinfo=None),
                    created_by=feedback.created_by,
                    kind=feedback.kind,
                    text=feedback.text,
                    statement=feedback.statement,
                    citation=feedback.citation,
                    comment=feedback.comment,
                )
            )
            if audit is not None:
                append(session, audit)

    def of(self, generation_id: UUID, *, owner: str | None = None) -> list[Feedback]:
        """List feedback, oldest first.

        Raises NotFoundError if the generation is not stored, or is not of the key ``owner``.
        """
        with Session(self._engine) as session:
            rows = session.scalars(
                select(FeedbackRow)
                .where(FeedbackRow.generation == _number(session, generation_id, owner))
                .order_by(FeedbackRow.number)
            )
            return [
                Feedback(
                    id=UUID(row.id),
                    generation_id=generation_id,
                    created_at=row.created_at.replace(tzinfo=UTC),
                    created_by=row.created_by,
                    kind=row.kind,  # type: ignore[arg-type]  # written only by add
                    text=row.text,
                    statement=row.statement,
                    citation=row.citation,
                    comment=row.comment,
                )
                for row in rows
            ]


def _number(
    session: Session, generation_id: UUID, owner: str | None = None, *, keep: bool = False
) -> int:
    """Find a generation; with ``keep`` nobody deletes it until the transaction ends."""
    wanted = select(GenerationRow.number).where(
        GenerationRow.id == str(generation_id), *owned(GenerationRow, owner)
    )
    number = session.scalar(wanted.with_for_update(read=True) if keep else wanted)
    if number is None:
        raise NotFoundError(f"no generation {generation_id} is stored here")
    return number
