"""Store and query generations. Only this module reads or writes their tables.

store = database.generations          # see db.app.database
store.add(generation)
store.get(generation.id)
"""

from dataclasses import dataclass
from datetime import MINYEAR, UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, Select, func, select
from sqlalchemy.orm import Session, selectinload

from db.app.audit_log import NewEntry, append
from db.app.generation import Generation
from db.app.generation_rows import to_generation, to_row
from db.app.models import CitationRow, GenerationRow, StatementRow
from db.app.owners import check_active, owned
from db.engines.engine import JsonStrings, erasing, writing
from db.errors import NotFoundError
from db.index.case import case_key


@dataclass(frozen=True, kw_only=True)
class GenerationFilter:
    """Which generations to list; None matches everything."""

    task: str | None = None
    created_by: str | None = None
    owner: str | None = None
    """The key that asks, if it may list its own alone, whatever ``created_by`` says."""
    since: datetime | None = None
    """Inclusive; with a time zone, like ``until``."""
    until: datetime | None = None
    """Exclusive."""
    index_fingerprint: str | None = None
    text: str | None = None
    """Words in the text; case is ignored."""
    cites: tuple[str, str] | None = None
    """Source and study id of a case that is cited."""
    image_sha256: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        row = GenerationRow
        found: list[ColumnElement[bool]] = []
        for column, value in (
            (row.task, self.task),
            (row.created_by, self.created_by),
            (row.created_by, self.owner),
            (row.index_fingerprint, self.index_fingerprint),
        ):
            if value is not None:
                found.append(column == value)
        if self.since is not None:
            found.append(row.created_at >= _utc(self.since))
        if self.until is not None:
            found.append(row.created_at < _utc(self.until))
        if self.text is not None:
            found.append(row.text.icontains(self.text, autoescape=True))
        if self.cites is not None:
            source, study_id = self.cites
            citing = (
                select(StatementRow.generation)
                .join(CitationRow, CitationRow.statement == StatementRow.id)
                .where(CitationRow.source == source, CitationRow.study_id == study_id)
            )
            found.append(row.number.in_(citing))
        if self.image_sha256 is not None:
            images = JsonStrings(row.images_sha256).table_valued("value")
            found.append(select(images.c.value).where(images.c.value == self.image_sha256).exists())
        return found


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of the history, newest first."""

    generations: tuple[Generation, ...]
    total: int
    """Number of generations that match the filter."""
    more: bool
    """Whether older pages follow."""


def generation_entry(generation: Generation, *, request_id: str | None = None) -> NewEntry:
    """Make the audit entry of a new generation."""
    return NewEntry(
        at=generation.created_at,
        caller=generation.created_by or "unknown",
        action=generation.task,
        details={
            "generation": str(generation.id),
            "images_sha256": list(generation.images_sha256),
            "generator": generation.generator,
            "index": generation.index.fingerprint,
            "cited": sorted(case_key(*case) for case in generation.cited),
        },
        request_id=request_id,
    )


class GenerationStore:
    """The generations of one application database; safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, generation: Generation, *, audit: NewEntry | None = None) -> None:
        """Store a generation and its audit entry in one transaction.

        Both are on disk when this returns. Raises ForbiddenError if the key was revoked meanwhile.
        """
        with writing(self._engine) as session:
            check_active(session, generation.created_by)
            session.add(to_row(generation))
            if audit is not None:
                append(session, audit)

    def get(self, generation_id: UUID, *, owner: str | None = None) -> Generation:
        """Return a generation, with ``owner`` only one of this key.

        Raises NotFoundError for an id that is not stored, and alike for one of another key.
        """
        with Session(self._engine) as session:
            row = session.scalars(
                select(GenerationRow)
                .where(GenerationRow.id == str(generation_id), *owned(GenerationRow, owner))
                .options(*_EVERYTHING)
            ).first()
            if row is None:
                raise NotFoundError(f"no generation {generation_id} is stored here")
            return to_generation(row)

    def delete(self, generation_id: UUID, *, audit: NewEntry | None = None) -> None:
        """Delete a generation and the feedback on it; its audit entries stay.

        Raises NotFoundError for an id that is not stored.
        """
        with erasing(self._engine) as session:
            row = session.scalars(
                select(GenerationRow)
                .where(GenerationRow.id == str(generation_id))
                .with_for_update()
            ).first()
            if row is None:
                raise NotFoundError(f"no generation {generation_id} is stored here")
            session.delete(row)
            if audit is not None:
                append(session, audit)

    def page(
        self,
        *,
        limit: int,
        before: UUID | None = None,
        wanted: GenerationFilter | None = None,
    ) -> Page:
        """Return the newest ``limit`` matching generations, or those stored before a given one.

        New generations do not shift later pages. Raises NotFoundError for an unknown ``before``, or
        one of another key than ``wanted.owner``.
        """
        wanted = wanted or GenerationFilter()
        conditions = wanted.conditions()
        chosen: Select[Any] = (
            select(GenerationRow)
            .where(*conditions)
            .order_by(GenerationRow.number.desc())
            .limit(limit + 1)
            .options(*_EVERYTHING)
        )
        with Session(self._engine) as session:
            if before is not None:
                number = session.scalar(
                    select(GenerationRow.number).where(
                        GenerationRow.id == str(before), *owned(GenerationRow, wanted.owner)
                    )
                )
                if number is None:
                    raise NotFoundError(f"no generation {before} is stored here")
                chosen = chosen.where(GenerationRow.number < number)
            rows = session.scalars(chosen).all()
            counted = select(func.count()).select_from(GenerationRow).where(*conditions)
            return Page(
                generations=tuple(to_generation(row) for row in rows[:limit]),
                total=session.scalar(counted) or 0,
                more=len(rows) > limit,
            )


_EVERYTHING = (
    selectinload(GenerationRow.statements).selectinload(StatementRow.citations),
    selectinload(GenerationRow.hits),
)


def _utc(moment: datetime) -> datetime:
    """Convert to UTC; a moment that UTC has no date for becomes the nearest one."""
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except (OverflowError, ValueError):  # at either end of the calendar
        return datetime.min if moment.year == MINYEAR else datetime.max
