"""Convert cases to rows of the index tables and back."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from db.index.case import Case, CaseImage, Sentence
from db.index.image_root import full_path, stored_path
from db.index.models import (
    CaseRow,
    ImageRow,
    LabelRow,
    SentenceLabelRow,
    SentenceRow,
    StudyDateRow,
)
from db.labels import State


def to_row(case: Case, image_root: Path | None = None) -> CaseRow:
    """Convert a case; paths of images below ``image_root`` are stored relative to it."""
    return CaseRow(
        id=case.case_id,
        source=case.source,
        study_id=case.study_id,
        patient_id=case.patient_id,
        indication=case.indication,
        findings=case.findings,
        impression=case.impression,
        dates=[] if case.study_date is None else [StudyDateRow(date=case.study_date)],
        labels=[
            LabelRow(observation=observation, state=state)
            for observation, state in case.labels.items()
        ],
        sentences=[
            SentenceRow.of(
                position=position,
                section=sentence.section,
                text=sentence.text,
                refers_to_prior=sentence.refers_to_prior,
                labels=sentence.labels,
            )
            for position, sentence in enumerate(case.sentences)
        ],
        images=[
            ImageRow(
                position=position,
                path=stored_path(image.path, image_root),
                view_position=image.view_position,
                width=image.width,
                height=image.height,
                pixels_sha256=image.pixels_sha256,
                dhash=f"{image.dhash:016x}",
            )
            for position, image in enumerate(case.images)
        ],
    )


def read_cases(
    session: Session,
    case_ids: Sequence[int],
    image_root: Path | None = None,
    *,
    dated: bool = True,
) -> list[Case]:
    """Read the cases that exist, by ascending id. Selects columns, not ORM objects, for speed.

    ``dated``: whether the index has the table of dates.
    """

    def of_cases(columns: Any, case_id: Any, *order: Any) -> Iterable[Row[Any]]:
        return session.execute(select(*columns).where(case_id.in_(case_ids)).order_by(*order))

    images = _grouped(
        of_cases(
            (
                ImageRow.case_id,
                ImageRow.path,
                ImageRow.view_position,
                ImageRow.width,
                ImageRow.height,
                ImageRow.pixels_sha256,
                ImageRow.dhash,
            ),
            ImageRow.case_id,
            ImageRow.case_id,
            ImageRow.position,
        )
    )
    labels = _grouped(
        of_cases(
            (LabelRow.case_id, LabelRow.observation, LabelRow.state),
            LabelRow.case_id,
            LabelRow.case_id,
            LabelRow.id,
        )
    )
    sentences = _grouped(
        of_cases(
            (
                SentenceRow.case_id,
                SentenceRow.id,
                SentenceRow.section,
                SentenceRow.text,
                SentenceRow.refers_to_prior,
            ),
            SentenceRow.case_id,
            SentenceRow.case_id,
            SentenceRow.position,
        )
    )
    sentence_labels = _grouped(
        session.execute(
            select(
                SentenceLabelRow.sentence_id, SentenceLabelRow.observation, SentenceLabelRow.state
            )
            .join(SentenceRow, SentenceRow.id == SentenceLabelRow.sentence_id)
            .where(SentenceRow.case_id.in_(case_ids))
            .order_by(SentenceLabelRow.sentence_id, SentenceLabelRow.id)
        )
    )
    columns = (StudyDateRow.case_id, StudyDateRow.date)
    dated_cases = of_cases(columns, StudyDateRow.case_id, StudyDateRow.case_id) if dated else ()
    dates = {row.case_id: row.date for row in dated_cases}
    return [
        Case(
            case_id=row.id,
            source=row.source,
            study_id=row.study_id,
            patient_id=row.patient_id,
            indication=row.indication,
            findings=row.findings,
            impression=row.impression,
            labels=_states(labels.get(row.id, ())),
            sentences=tuple(
                Sentence(
                    section=section,
                    text=text,
                    refers_to_prior=refers_to_prior,
                    labels=_states(sentence_labels.get(sentence_id, ())),
                )
                for _, sentence_id, section, text, refers_to_prior in sentences.get(row.id, ())
            ),
            images=tuple(
                CaseImage(
                    path=full_path(path, image_root),
                    view_position=view_position,
                    width=width,
                    height=height,
                    pixels_sha256=pixels_sha256,
                    dhash=int(dhash, 16),
                )
                for _, path, view_position, width, height, pixels_sha256, dhash in images.get(
                    row.id, ()
                )
            ),
            study_date=dates.get(row.id),
        )
        for row in of_cases(CaseRow.__table__.columns, CaseRow.id, CaseRow.id)
    ]


def _grouped(rows: Iterable[Row[Any]]) -> dict[int, list[Any]]:
    """Group rows by their first column, by which they are sorted."""
    return {key: list(group) for key, group in groupby(rows, key=lambda row: row[0])}


def _states(rows: Iterable[Any]) -> dict[str, State]:
    return {observation: state for _, observation, state in rows}
