"""Tables inside an index directory: cases, their images, sentences and labels.

They are deleted with the index; tables that outlive it are in ``db.app.models``.
"""

import datetime
from typing import Any, Self

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from db.labels import Labels


class IndexBase(DeclarativeBase):
    """Base of the tables that an index build writes."""


class CaseRow(IndexBase):
    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("source", "study_id"),
        Index("ix_cases_patient_id", "patient_id"),
        Index("ix_cases_study_id", "study_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str]
    study_id: Mapped[str]
    patient_id: Mapped[str | None]
    indication: Mapped[str]
    findings: Mapped[str]
    impression: Mapped[str]
    images: Mapped[list["ImageRow"]] = relationship(
        order_by="ImageRow.position", cascade="all, delete-orphan"
    )
    sentences: Mapped[list["SentenceRow"]] = relationship(
        order_by="SentenceRow.position", cascade="all, delete-orphan"
    )
    labels: Mapped[list["LabelRow"]] = relationship(
        order_by="LabelRow.id", cascade="all, delete-orphan"
    )
    dates: Mapped[list["StudyDateRow"]] = relationship(cascade="all, delete-orphan")
    """One, or none."""


class ImageRow(IndexBase):
    __tablename__ = "images"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    path: Mapped[str | None]
    view_position: Mapped[Any] = mapped_column(String(8), nullable=True)
    width: Mapped[int]
    height: Mapped[int]
    pixels_sha256: Mapped[str] = mapped_column(String(64), index=True)
    dhash: Mapped[str] = mapped_column(String(16))


class SentenceRow(IndexBase):
    __tablename__ = "sentences"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    section: Mapped[Any] = mapped_column(String(10))
    text: Mapped[str]
    refers_to_prior: Mapped[bool]
    labels: Mapped[list["SentenceLabelRow"]] = relationship(
        order_by="SentenceLabelRow.id", cascade="all, delete-orphan"
    )

    @classmethod
    def of(cls, *, labels: Labels, **columns: Any) -> Self:
        """Make a sentence with one label row per entry of ``labels``."""
        rows = [
            SentenceLabelRow(observation=observation, state=state)
            for observation, state in labels.items()
        ]
        return cls(labels=rows, **columns)


class SentenceLabelRow(IndexBase):
    __tablename__ = "sentence_labels"

    id: Mapped[int] = mapped_column(primary_key=True)
    sentence_id: Mapped[int] = mapped_column(
        ForeignKey("sentences.id", ondelete="CASCADE"), index=True
    )
    observation: Mapped[str]
    state: Mapped[Any] = mapped_column(String(9))


class LabelRow(IndexBase):
    __tablename__ = "labels"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), index=True)
    observation: Mapped[str]
    state: Mapped[Any] = mapped_column(String(9))


class StudyDateRow(IndexBase):
    """The date of a study; indexes built before dates were kept do not have the table."""

    __tablename__ = "study_dates"

    case_id: Mapped[int] = mapped_column(
        ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    date: Mapped[datetime.date]


OPTIONAL = (StudyDateRow.__tablename__,)
"""Tables that an index may lack."""
