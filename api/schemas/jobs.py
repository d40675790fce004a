"""Wire types of batches, and of generations that are pending, failed or were cancelled."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

import msgspec

from db.app.jobs.study import JobStudy, Status
from generator.prompts import Task

Unfinished = Literal["queued", "running", "failed", "cancelled"]


class PendingGeneration(msgspec.Struct, kw_only=True):
    """A generation that is not stored: pending, failed or cancelled."""

    id: UUID
    status: Unfinished
    task: Task
    created_at: datetime
    created_by: str
    batch: UUID
    detail: str | None
    """Why it failed or was cancelled, in one sentence."""

    @classmethod
    def of(cls, study: JobStudy) -> Self:
        assert study.status != "done"
        return cls(
            id=study.generation_id,
            status=study.status,
            task=study.task,  # type: ignore[arg-type]  # written from a Task
            created_at=study.created_at,
            created_by=study.created_by,
            batch=study.job_id,
            detail=study.detail,
        )


class BatchStudy(msgspec.Struct, kw_only=True):
    """One study of a batch."""

    generation: UUID
    """Id of its report: `GET /generations/{generation}`."""
    status: Status
    detail: str | None


class BatchDocument(msgspec.Struct, kw_only=True):
    """Studies that were sent in one request."""

    id: UUID
    created_at: datetime
    created_by: str
    finished: bool
    """Whether no study is queued or running."""
    done: int
    """Number of stored reports."""
    studies: list[BatchStudy]
    """In the order in which they were first named."""

    @classmethod
    def of(cls, studies: list[JobStudy]) -> Self:
        return cls(
            id=studies[0].job_id,
            created_at=studies[0].created_at,
            created_by=studies[0].created_by,
            finished=all(study.status not in ("queued", "running") for study in studies),
            done=sum(study.status == "done" for study in studies),
            studies=[
                BatchStudy(generation=study.generation_id, status=study.status, detail=study.detail)
                for study in studies
            ],
        )
