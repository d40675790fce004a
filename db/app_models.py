"""Tables of the application database: what must outlive every index.

Alembic sees these only (``db/migrations``). No image and nothing about a patient is a column here.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class AppBase(DeclarativeBase):
    """Base of the tables that the service writes; constraints are named so they can be altered."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class GenerationRow(AppBase):
    __tablename__ = "generations"
    __table_args__ = ({"sqlite_autoincrement": True},)  # a number is never given twice

    number: Mapped[int] = mapped_column(primary_key=True)
    """In the order of storing; pages are cut by it, as two may share a time."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    created_at: Mapped[datetime]
    """UTC."""
    task: Mapped[str] = mapped_column(String(32))
    text: Mapped[str]
    generator: Mapped[str]
    index_fingerprint: Mapped[str] = mapped_column(String(64), index=True)
    index_source: Mapped[str]
    films_sha256: Mapped[Any] = mapped_column(JSON)
    options: Mapped[Any] = mapped_column(JSON)
    notes: Mapped[Any] = mapped_column(JSON)
    label_scores: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    verdict: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    left_out: Mapped[Any] = mapped_column(JSON)
    statements: Mapped[list["StatementRow"]] = relationship(
        order_by="StatementRow.position", cascade="all, delete-orphan"
    )
    hits: Mapped[list["HitRow"]] = relationship(
        order_by="HitRow.number", cascade="all, delete-orphan"
    )


class StatementRow(AppBase):
    __tablename__ = "statements"
    __table_args__ = (UniqueConstraint("generation", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(
        ForeignKey("generations.number", ondelete="CASCADE"), index=True
    )
    position: Mapped[int]
    section: Mapped[Any] = mapped_column(String(10))
    text: Mapped[str]
    labels: Mapped[Any] = mapped_column(JSON)
    citations: Mapped[list["CitationRow"]] = relationship(
        order_by="CitationRow.position", cascade="all, delete-orphan"
    )


class CitationRow(AppBase):
    __tablename__ = "citations"
    __table_args__ = (UniqueConstraint("statement", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    statement: Mapped[int] = mapped_column(
        ForeignKey("statements.id", ondelete="CASCADE"), index=True
    )
    position: Mapped[int]
    number: Mapped[int]
    source: Mapped[str]
    study_id: Mapped[str]
    index_fingerprint: Mapped[str] = mapped_column(String(64))
    quote: Mapped[str]
    score: Mapped[float]


class HitRow(AppBase):
    __tablename__ = "hits"
    __table_args__ = (UniqueConstraint("generation", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(
        ForeignKey("generations.number", ondelete="CASCADE"), index=True
    )
    number: Mapped[int]
    source: Mapped[str]
    study_id: Mapped[str]
    score: Mapped[float]
