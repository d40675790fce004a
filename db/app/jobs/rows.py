"""Studies of jobs as rows, and how a row begins and ends."""

from collections.abc import Sequence
from datetime import UTC
from typing import get_args
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.app.jobs.study import JobImage, JobStudy, Status
from db.app.models import JobImageRow, JobStudyRow

KEPT = ("task",)
"""What stays of a request when its study has ended. The rest names patients, in the caller's texts
and in who is excluded; it stays with the generation alone."""
RECEIVING = "receiving"
"""The status of a study while the images of its job still arrive."""


def to_study_row(study: JobStudy, process: str) -> JobStudyRow:
    """``process`` receives it."""
    return JobStudyRow(
        job=str(study.job_id),
        generation_id=str(study.generation_id),
        created_at=study.created_at.astimezone(UTC).replace(tzinfo=None),
        created_by=study.created_by,
        request_id=study.request_id,
        options=dict(study.request),
        status=study.status,
        detail=study.detail,
        attempts=0,
        process=process,
        images=[
            JobImageRow(
                position=position,
                png=image.png,
                view_position=image.view_position,
                notes=list(image.notes),
                of_prior=image.of_prior,
            )
            for position, image in enumerate(study.images)
        ],
    )


def to_study(row: JobStudyRow, images: Sequence[JobImageRow] = ()) -> JobStudy:
    assert row.status in get_args(Status)
    return JobStudy(
        job_id=UUID(row.job),
        generation_id=UUID(row.generation_id),
        created_at=row.created_at.replace(tzinfo=UTC),
        created_by=row.created_by,
        request_id=row.request_id,
        request=row.options,
        status=row.status,  # type: ignore[arg-type]  # asserted above
        detail=row.detail,
        images=tuple(
            JobImage(
                png=image.png,
                view_position=image.view_position,
                notes=tuple(image.notes),
                of_prior=image.of_prior,
            )
            for image in images
        ),
    )


def begin(row: JobStudyRow, process: str) -> JobStudy:
    """Mark a study as running in a process, and return it with its images."""
    row.status, row.process = "running", process
    row.attempts += 1
    return to_study(row, images=row.images)


def end(row: JobStudyRow, status: Status, detail: str | None) -> None:
    """Mark a study as ended, and forget its images and texts."""
    row.status, row.detail, row.process = status, detail, None
    row.options = {name: value for name, value in row.options.items() if name in KEPT}
    row.images.clear()


def cancel_all(session: Session, owner: str) -> list[str]:
    """Cancel the unfinished studies of a revoked key, and return the ids of their generations.

    A server that is writing one of them finds it cancelled when it stores the generation.
    """
    unfinished = select(JobStudyRow).where(
        JobStudyRow.created_by == owner, JobStudyRow.status.in_(("queued", "running"))
    )
    rows = session.scalars(unfinished.order_by(JobStudyRow.number).with_for_update()).all()
    for row in rows:
        end(row, "cancelled", f"API key '{owner}' revoked")
    return [row.generation_id for row in rows]
