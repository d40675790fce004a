"""One study of a job, as the service reads and writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from db.index.store import ViewPosition

Status = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class JobImage:
    """A decoded image, without header and file name."""

    png: bytes
    view_position: ViewPosition | None
    notes: tuple[str, ...]
    of_prior: bool = False
    """Whether it is of the patient's own prior study."""


@dataclass(frozen=True, kw_only=True)
class JobStudy:
    """One study of a job."""

    job_id: UUID
    generation_id: UUID
    created_at: datetime
    created_by: str
    request: Mapping[str, object]
    """As JSON values: the task; until the study has ended also the options of the search and the
    caller's texts."""
    request_id: str | None = None
    status: Status = "queued"
    detail: str | None = None
    """Why it failed or was cancelled, in one sentence."""
    images: tuple[JobImage, ...] = ()
    """Set only by `JobStore.claim` and `claim_suspect`, and for `receive`."""

    @property
    def task(self) -> str:
        """The task of the generation; jobs stored before tasks existed are reports."""
        return str(self.request.get("task", "report"))
