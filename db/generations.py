"""Generations: what was written for whom asked. The only module that reads or writes their tables.

    store = GenerationStore.open(Path("data/app.sqlite3"))    # made and migrated where needed
    store.add(generation)
    store.get(generation.id)

They name cases by source and study, never by the number a case has inside one index, and keep
the quoted sentences, so they stay true when the index is rebuilt or gone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from uuid import UUID

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, selectinload

from db.app_models import CitationRow, GenerationRow, HitRow, StatementRow
from db.cases import Section
from db.errors import NotFoundError, UserError
from db.labels import Labels
from db.schema import migrate
from db.session import open_sqlite


@dataclass(frozen=True, kw_only=True)
class StoredCitation:
    """A ``[n]`` as it was resolved when the text was written."""

    number: int
    source: str
    study_id: str
    index_fingerprint: str
    quote: str
    score: float


@dataclass(frozen=True, kw_only=True)
class StoredStatement:
    """One sentence; without citations it rests on the image alone."""

    section: Section
    text: str
    labels: Labels = field(default_factory=dict)
    citations: tuple[StoredCitation, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StoredHit:
    """A retrieved case, by the number that citations use."""

    number: int
    source: str
    study_id: str
    score: float


@dataclass(frozen=True, kw_only=True)
class StoredLeftOut:
    """A case that a rule kept from the hits."""

    source: str
    study_id: str
    score: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class StoredVerdict:
    """Whether the films were of the kind that the index held, as judged then."""

    in_distribution: bool
    score: float
    threshold: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One stored output, with what is needed to see where it came from."""

    id: UUID
    created_at: datetime
    """Aware; stored in UTC."""
    task: str
    text: str
    generator: str
    index_fingerprint: str
    index_source: str
    films_sha256: tuple[str, ...]
    """Digests of the decoded films; the films themselves are not kept."""
    options: Mapping[str, object]
    """What was asked for, as JSON values."""
    notes: tuple[str, ...] = ()
    label_scores: Mapping[str, float] | None = None
    verdict: StoredVerdict | None = None
    """None where nothing could be said, or nobody asked yet."""
    statements: tuple[StoredStatement, ...] = ()
    hits: tuple[StoredHit, ...] = ()
    left_out: tuple[StoredLeftOut, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Page:
    """A piece of the history, newest first."""

    generations: tuple[Generation, ...]
    total: int
    more: bool
    """Whether older ones follow."""


class GenerationStore:
    """The generations in one SQLite file; safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the application database; make it, or bring it up to date, where needed.

        Raises UserError for a file that is no such database, one of a newer version, or a place
        that cannot be written to.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            engine = open_sqlite(path, read_only=False, write_ahead_log=True)
            migrate(engine, name=str(path))
        except (DatabaseError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            raise UserError(
                f"{path} cannot be used as application database ({reason}): "
                "name another file with --database"
            ) from error
        return cls(engine)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, generation: Generation) -> None:
        """Store a generation whole or not at all; it is on disk when this returns."""
        with Session(self._engine) as session, session.begin():
            session.add(_to_row(generation))

    def get(self, generation_id: UUID) -> Generation:
        """Raises NotFoundError for an id that was never stored."""
        with Session(self._engine) as session:
            row = session.scalars(
                select(GenerationRow)
                .where(GenerationRow.id == str(generation_id))
                .options(*_EVERYTHING)
            ).first()
            if row is None:
                raise NotFoundError(f"no generation {generation_id} is stored here")
            return _to_generation(row)

    def page(self, *, limit: int, before: UUID | None = None) -> Page:
        """The newest ``limit`` generations, or those stored before a given one.

        New generations do not shift the pages after it. Raises NotFoundError for an unknown
        ``before``.
        """
        wanted = (
            select(GenerationRow)
            .order_by(GenerationRow.number.desc())
            .limit(limit + 1)
            .options(*_EVERYTHING)
        )
        with Session(self._engine) as session:
            if before is not None:
                number = session.scalar(
                    select(GenerationRow.number).where(GenerationRow.id == str(before))
                )
                if number is None:
                    raise NotFoundError(f"no generation {before} is stored here")
                wanted = wanted.where(GenerationRow.number < number)
            rows = session.scalars(wanted).all()
            return Page(
                generations=tuple(_to_generation(row) for row in rows[:limit]),
                total=session.scalar(select(func.count()).select_from(GenerationRow)) or 0,
                more=len(rows) > limit,
            )


_EVERYTHING = (
    selectinload(GenerationRow.statements).selectinload(StatementRow.citations),
    selectinload(GenerationRow.hits),
)


def _to_row(generation: Generation) -> GenerationRow:
    return GenerationRow(
        id=str(generation.id),
        created_at=generation.created_at.astimezone(UTC).replace(tzinfo=None),
        task=generation.task,
        text=generation.text,
        generator=generation.generator,
        index_fingerprint=generation.index_fingerprint,
        index_source=generation.index_source,
        films_sha256=list(generation.films_sha256),
        options=dict(generation.options),
        notes=list(generation.notes),
        label_scores=None if generation.label_scores is None else dict(generation.label_scores),
        verdict=None if generation.verdict is None else asdict(generation.verdict),
        left_out=[asdict(left_out) for left_out in generation.left_out],
        statements=[
            StatementRow(
                position=position,
                section=statement.section,
                text=statement.text,
                labels=dict(statement.labels),
                citations=[
                    CitationRow(position=place, **asdict(citation))
                    for place, citation in enumerate(statement.citations)
                ],
            )
            for position, statement in enumerate(generation.statements)
        ],
        hits=[HitRow(**asdict(hit)) for hit in generation.hits],
    )


def _to_generation(row: GenerationRow) -> Generation:
    return Generation(
        id=UUID(row.id),
        created_at=row.created_at.replace(tzinfo=UTC),
        task=row.task,
        text=row.text,
        generator=row.generator,
        index_fingerprint=row.index_fingerprint,
        index_source=row.index_source,
        films_sha256=tuple(row.films_sha256),
        options=row.options,
        notes=tuple(row.notes),
        label_scores=row.label_scores,
        verdict=None if row.verdict is None else StoredVerdict(**row.verdict),
        statements=tuple(
            StoredStatement(
                section=statement.section,
                text=statement.text,
                labels=statement.labels,
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
    )
