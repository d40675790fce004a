"""Accepted work that is not done yet; it survives the end of the process.

A job is one or more studies of one request. Each study has the id of its future generation, and
keeps its decoded images, its indication and its question until it is done, failed or cancelled. A
study is taken by `claim` and ends in the transaction that stores its generation (`finish`), so it
is never lost and never done twice.

A study that was running when the process ended may have been the cause. It is a suspect: `claim`
skips it, and `claim_suspect` takes it alone. A study that fails alone too often is given up
(`release`). The runner waits longer before each attempt (see `api.pipeline.jobs`), so that no study
is given up when the process is killed every few seconds for another reason.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, Select, func, select, update
from sqlalchemy.orm import Session, selectinload

from db.app.audit_log import NewEntry, append
from db.app.generation import Generation
from db.app.generation_rows import to_row
from db.app.models import JobImageRow, JobStudyRow
from db.app.owners import check_active, owned, revoked_keys
from db.engines.engine import erasing, writing
from db.errors import NotFoundError
from db.index.store import ViewPosition

Status = Literal["queued", "running", "done", "failed", "cancelled"]
KEPT = ("task",)
"""What stays of a request when its study has ended. The rest names patients, in the caller's texts
and in who is excluded; it stays with the generation alone."""
_RECEIVING = "receiving"
"""The status of a study while the images of its job still arrive."""
ATTEMPTS = 6
"""A study is given up after this many attempts that ended the process, all but the first alone."""


@dataclass(frozen=True, kw_only=True)
class JobImage:
    """A decoded image, without header and file name."""

    png: bytes
    view_position: ViewPosition | None
    notes: tuple[str, ...]


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
    """Set only by `claim` and `claim_suspect`, and for `add`."""

    @property
    def task(self) -> str:
        """The task of the generation; jobs stored before tasks existed are reports."""
        return str(self.request.get("task", "report"))


class JobStore:
    """The jobs in one application database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, studies: Sequence[JobStudy], *, audit: NewEntry | None = None) -> None:
        """Accept studies, all or none; they are on disk when this returns.

        Raises ForbiddenError if the key of one was revoked meanwhile.
        """
        with writing(self._engine) as session:
            check_active(session, *(study.created_by for study in studies))
            for study in studies:
                session.add(_to_row(study))
                session.flush()  # numbers in the order given
            if audit is not None:
                append(session, audit)

    def receive(self, study: JobStudy) -> None:
        """Store a study of a job that is not accepted yet: nothing shows it, and no one takes it.

        `accept` accepts the studies of the job, `discard` removes them, and so does `release`.
        """
        with writing(self._engine) as session:
            row = _to_row(study)
            row.status = _RECEIVING
            session.add(row)

    def accept(self, job_id: UUID, *, audit: NewEntry | None = None) -> None:
        """Accept the received studies of a job.

        Raises ForbiddenError if its key was revoked meanwhile.
        """
        received = (JobStudyRow.job == str(job_id), JobStudyRow.status == _RECEIVING)
        with writing(self._engine) as session:
            owners = session.scalars(select(JobStudyRow.created_by).where(*received))
            check_active(session, *owners)
            session.execute(update(JobStudyRow).where(*received).values(status="queued"))
            if audit is not None:
                append(session, audit)

    def discard(self, job_id: UUID) -> None:
        """Remove the received studies of a job, with their images."""
        with writing(self._engine) as session:
            _remove_received(session, JobStudyRow.job == str(job_id))

    def study(self, generation_id: UUID, *, owner: str | None = None) -> JobStudy:
        """Return the study of a generation, with ``owner`` only one of this key.

        Raises NotFoundError if no job has it, and alike if it is of another key.
        """
        with Session(self._engine) as session:
            wanted = _of(generation_id).where(*owned(JobStudyRow, owner))
            row = session.scalars(wanted).first()
            if row is None:
                raise NotFoundError(f"no generation {generation_id} is stored here")
            return _to_study(row)

    def job(self, job_id: UUID, *, owner: str | None = None) -> list[JobStudy]:
        """Return the studies in the order given, with ``owner`` only of a job of this key.

        Raises NotFoundError for an unknown job, and alike for one of another key.
        """
        with Session(self._engine) as session:
            rows = session.scalars(
                select(JobStudyRow)
                .where(
                    JobStudyRow.job == str(job_id),
                    JobStudyRow.status != _RECEIVING,
                    *owned(JobStudyRow, owner),
                )
                .order_by(JobStudyRow.number)
            ).all()
            if not rows:
                raise NotFoundError(f"no batch {job_id} is known here")
            return [_to_study(row) for row in rows]

    def unfinished(self) -> int:
        """Count the studies that are queued, running, or still received."""
        with Session(self._engine) as session:
            return (
                session.scalar(
                    select(func.count())
                    .select_from(JobStudyRow)
                    .where(JobStudyRow.status.in_(("queued", "running", _RECEIVING)))
                )
                or 0
            )

    def claim(self, count: int) -> list[JobStudy]:
        """Mark up to ``count`` queued studies as running and return them with their images.

        Owners take turns. Suspects are left to ``claim_suspect``.
        """
        with writing(self._engine) as session:
            turn = func.row_number().over(
                partition_by=JobStudyRow.created_by, order_by=JobStudyRow.number
            )
            queued = select(JobStudyRow.number, turn.label("turn")).where(
                JobStudyRow.status == "queued", JobStudyRow.attempts == 0
            )
            turns = queued.subquery()
            rows = session.scalars(
                select(JobStudyRow)
                .join(turns, turns.c.number == JobStudyRow.number)
                .where(JobStudyRow.status == "queued")  # seen again once the row is locked
                .order_by(turns.c.turn, JobStudyRow.number)
                .limit(count)
                .with_for_update(of=JobStudyRow, skip_locked=True)
                .options(selectinload(JobStudyRow.images))
            ).all()
            return [_begin(row) for row in rows]

    def suspicion(self) -> int | None:
        """Return the attempts so far of the next suspect; None if there is none."""
        with Session(self._engine) as session:
            row = session.scalars(_suspects()).first()
            return None if row is None else row.attempts

    def claim_suspect(self) -> JobStudy | None:
        """Take the suspect with the fewest attempts, a study that ran when a process ended.

        Run it alone: if the process ends again, only this study is counted.
        """
        with writing(self._engine) as session:
            free = _suspects().with_for_update(skip_locked=True)
            row = session.scalars(free.options(selectinload(JobStudyRow.images))).first()
            return None if row is None else _begin(row)

    def release(self, *, receiving: Collection[UUID] = ()) -> int:
        """Requeue studies that are left running; give up those tried too often, remove those that
        were not accepted yet, and cancel those of revoked keys.

        Returns the number of unfinished studies. Call this only while no study runs and no other
        process works on the database. ``receiving`` are the jobs of this process that are not
        accepted yet, which stay; one may be added while this waits for the database.
        """
        with writing(self._engine) as session:
            kept = [str(job) for job in tuple(receiving)]
            _remove_received(session, JobStudyRow.job.not_in(kept))
            left = session.scalars(select(JobStudyRow).where(JobStudyRow.status == "running")).all()
            for row in left:
                if row.attempts < ATTEMPTS:
                    row.status = "queued"
                else:
                    _end(
                        row,
                        "failed",
                        f"the server stopped {row.attempts} times while it worked on it",
                    )
            for owner in session.scalars(revoked_keys()).all():
                cancel_all(session, owner)
        return self.unfinished()

    def park(self, generation_id: UUID) -> None:
        """Requeue a running study without counting the attempt: the server is stopping."""
        with writing(self._engine) as session:
            session.execute(
                update(JobStudyRow)
                .where(JobStudyRow.generation_id == str(generation_id))
                .where(JobStudyRow.status == "running")
                .values(status="queued", attempts=JobStudyRow.attempts - 1)
            )

    def finish(self, generation: Generation, *, audit: NewEntry | None = None) -> bool:
        """Store the generation of a running study. Returns False if it was cancelled."""
        with writing(self._engine) as session:
            row = session.scalars(_of(generation.id).with_for_update()).first()
            if row is None or row.status != "running":
                return False
            _end(row, "done", None)
            session.add(to_row(generation))
            if audit is not None:
                append(session, audit)
            return True

    def fail(self, generation_id: UUID, detail: str) -> None:
        """Mark a running study as failed, with the reason."""
        with erasing(self._engine) as session:
            row = session.scalars(_of(generation_id).with_for_update()).first()
            if row is not None and row.status == "running":
                _end(row, "failed", detail)

    def cancel(self, generation_id: UUID, *, audit: NewEntry | None = None) -> bool:
        """Cancel a queued or running study. Returns False if it had already ended."""
        with erasing(self._engine) as session:
            row = session.scalars(_of(generation_id).with_for_update()).first()
            if row is None or row.status not in ("queued", "running"):
                return False
            _end(row, "cancelled", None)
            if audit is not None:
                append(session, audit)
            return True


def cancel_all(session: Session, owner: str) -> list[str]:
    """Cancel the unfinished studies of a revoked key, and return the ids of their generations.

    A server that is writing one of them finds it cancelled when it stores the generation.
    """
    unfinished = select(JobStudyRow).where(
        JobStudyRow.created_by == owner, JobStudyRow.status.in_(("queued", "running"))
    )
    rows = session.scalars(unfinished.order_by(JobStudyRow.number).with_for_update()).all()
    for row in rows:
        _end(row, "cancelled", f"API key '{owner}' revoked")
    return [row.generation_id for row in rows]


def _of(generation_id: UUID) -> Select[JobStudyRow]:
    return select(JobStudyRow).where(JobStudyRow.generation_id == str(generation_id))


def _remove_received(session: Session, *which: ColumnElement[bool]) -> None:
    for row in session.scalars(select(JobStudyRow).where(JobStudyRow.status == _RECEIVING, *which)):
        session.delete(row)


def _suspects() -> Select[JobStudyRow]:
    return (
        select(JobStudyRow)
        .where(JobStudyRow.status == "queued", JobStudyRow.attempts > 0)
        .order_by(JobStudyRow.attempts, JobStudyRow.number)
        .limit(1)
    )


def _begin(row: JobStudyRow) -> JobStudy:
    row.status = "running"
    row.attempts += 1
    return _to_study(row, images=row.images)


def _end(row: JobStudyRow, status: Status, detail: str | None) -> None:
    row.status, row.detail = status, detail
    row.options = {name: value for name, value in row.options.items() if name in KEPT}
    row.images.clear()


def _to_row(study: JobStudy) -> JobStudyRow:
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
        images=[
            JobImageRow(
                position=position,
                png=image.png,
                view_position=image.view_position,
                notes=list(image.notes),
            )
            for position, image in enumerate(study.images)
        ],
    )


def _to_study(row: JobStudyRow, images: Sequence[JobImageRow] = ()) -> JobStudy:
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
            JobImage(png=image.png, view_position=image.view_position, notes=tuple(image.notes))
            for image in images
        ),
    )
