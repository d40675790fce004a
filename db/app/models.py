"""Tables of the application database, which outlive every index.

Alembic manages only these (``db/migrations``). No column describes a patient, and no image is kept
except those of queued studies, without their headers (`JobImageRow`).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Double, ForeignKey, MetaData, String, UniqueConstraint, false
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class AppBase(DeclarativeBase):
    """Base of the tables that the service writes; named constraints can be altered."""

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
    __table_args__ = ({"sqlite_autoincrement": True},)  # numbers are never reused

    number: Mapped[int] = mapped_column(primary_key=True)
    """Ascends in the order of insertion; pages use it, because times may coincide."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    created_at: Mapped[datetime] = mapped_column(index=True)
    """UTC."""
    created_by: Mapped[str | None] = mapped_column(String(64))
    task: Mapped[str] = mapped_column(String(32))
    text: Mapped[str]
    generator: Mapped[str]
    index_fingerprint: Mapped[str] = mapped_column(String(64), index=True)
    index_source: Mapped[str]
    images_sha256: Mapped[Any] = mapped_column(JSON)
    options: Mapped[Any] = mapped_column(JSON)
    notes: Mapped[Any] = mapped_column(JSON)
    warnings: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    technical_notes: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    label_scores: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    ood: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    excluded_cases: Mapped[Any] = mapped_column(JSON)
    origin: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    question: Mapped[str | None]
    indication: Mapped[str | None]
    observations: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    calibrated_on: Mapped[str | None]
    regions: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    prior: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    """The patient's own prior study, without its images and report."""
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
    check: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
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
    study_id: Mapped[str] = mapped_column(index=True)
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


class ApiKeyRow(AppBase):
    __tablename__ = "api_keys"

    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(16), unique=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    """Never reused, so that actions can be traced to a key after it is revoked."""
    secret_sha256: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[Any] = mapped_column(JSON)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class AuditRow(AppBase):
    """An entry of the audit log; triggers refuse to change or delete it."""

    __tablename__ = "audit_entries"

    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str] = mapped_column(String(32))
    caller: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    details: Mapped[str]
    """JSON text, hashed unchanged."""
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)


class FeedbackRow(AppBase):
    __tablename__ = "feedback"

    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(36), unique=True)
    generation: Mapped[int] = mapped_column(
        ForeignKey("generations.number", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    text: Mapped[str | None]
    statement: Mapped[int | None]
    citation: Mapped[int | None]
    comment: Mapped[str | None]


class JobStudyRow(AppBase):
    __tablename__ = "job_studies"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(String(36), index=True)
    generation_id: Mapped[str] = mapped_column(String(36), unique=True)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    options: Mapped[Any] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(16), index=True)
    detail: Mapped[str | None]
    attempts: Mapped[int]
    process: Mapped[str | None] = mapped_column(String(32))
    """Which process receives or writes it; `db.engines.presence` knows whether it still runs."""
    images: Mapped[list["JobImageRow"]] = relationship(
        order_by="JobImageRow.position", cascade="all, delete-orphan"
    )


class JobImageRow(AppBase):
    """An image of a queued study; deleted and overwritten when the study ends."""

    __tablename__ = "job_images"
    __table_args__ = (UniqueConstraint("study", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study: Mapped[int] = mapped_column(
        ForeignKey("job_studies.number", ondelete="CASCADE"), index=True
    )
    position: Mapped[int]
    png: Mapped[bytes]
    view_position: Mapped[Any] = mapped_column(String(10), nullable=True)
    notes: Mapped[Any] = mapped_column(JSON)
    of_prior: Mapped[bool] = mapped_column(server_default=false())
    """Whether it is of the patient's own prior study."""


class RequestCountRow(AppBase):
    """The requests of one key or address in the current minute, where processes share a limit."""

    __tablename__ = "request_counts"

    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    count: Mapped[int]
    until: Mapped[float] = mapped_column(Double, index=True)
    """Seconds since 1970, when counting begins anew."""
