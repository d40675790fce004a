"""Accepted work that is not done yet; it survives the end of the process.

A job is one or more studies of one request. Each study has the id of its future generation, and
keeps its decoded images, its indication and its question until it is done, failed or cancelled. A
study is taken by `claim` and ends in the transaction that stores its generation (`finish`), so it
is never lost and never done twice.

Several processes may work on one database. A row carries the name of the process that receives or
runs its study, and only that process can end it with a result. What a process leaves when it ends,
the others release.

A study that was running when its process ended may have been the cause. It is a suspect: `claim`
skips it, and `claim_suspect` takes it alone. A study that fails alone too often is given up
(`release`). The runner waits longer before each attempt (see `api.pipeline.jobs`), so that no study
is given up when the process is killed every few seconds for another reason.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, Engine, Select, delete, func, select, update
from sqlalchemy.orm import Session, selectinload

from db.app.audit_log import NewEntry, append
from db.app.generation import Generation
from db.app.generation_rows import to_row
from db.app.jobs.rows import RECEIVING, begin, cancel_all, end, to_study, to_study_row
from db.app.jobs.study import JobStudy
from db.app.models import JobStudyRow
from db.app.owners import check_active, owned, revoked_keys
from db.engines.engine import erasing, writing
from db.engines.presence import gone
from db.errors import NotFoundError, UnavailableError

ATTEMPTS = 6
"""A study is given up after this many attempts that ended the process, all but the first alone."""


class JobStore:
    """The jobs in one application database."""

    def __init__(self, engine: Engine, *, process: str) -> None:
        """``process`` is the name of this process, see `db.engines.presence`."""
        self._engine = engine
        self._process = process

    def receive(self, study: JobStudy) -> None:
        """Store a study of a job that is not accepted yet: nothing shows it, and no one takes it.

        `accept` accepts the studies of the job, `discard` removes them, and so does `release`.
        """
        with writing(self._engine) as session:
            row = to_study_row(study, self._process)
            row.status = RECEIVING
            session.add(row)

    def accept(self, job_id: UUID, studies: int, *, audit: NewEntry | None = None) -> None:
        """Accept the received studies of a job; ``studies`` is how many it has.

        Raises ForbiddenError if its key was revoked meanwhile, and UnavailableError if others took
        this process for gone and removed what it had received.
        """
        received = (JobStudyRow.job == str(job_id), JobStudyRow.status == RECEIVING)
        with writing(self._engine) as session:
            owners = session.scalars(select(JobStudyRow.created_by).where(*received))
            check_active(session, *owners)
            numbers = session.scalars(
                update(JobStudyRow)
                .where(*received)
                .values(status="queued", process=None)
                .returning(JobStudyRow.number)
            )
            if len(numbers.all()) != studies:
                raise UnavailableError(
                    "the connection to the database was lost while the images arrived: send them "
                    "again",
                    retry_after=5,
                )
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
            return to_study(row)

    def job(self, job_id: UUID, *, owner: str | None = None) -> list[JobStudy]:
        """Return the studies in the order given, with ``owner`` only of a job of this key.

        Raises NotFoundError for an unknown job, and alike for one of another key.
        """
        with Session(self._engine) as session:
            rows = session.scalars(
                select(JobStudyRow)
                .where(
                    JobStudyRow.job == str(job_id),
                    JobStudyRow.status != RECEIVING,
                    *owned(JobStudyRow, owner),
                )
                .order_by(JobStudyRow.number)
            ).all()
            if not rows:
                raise NotFoundError(f"no batch {job_id} is known here")
            return [to_study(row) for row in rows]

    def unfinished(self) -> int:
        """Count the studies that are queued, running, or still received."""
        with Session(self._engine) as session:
            return (
                session.scalar(
                    select(func.count())
                    .select_from(JobStudyRow)
                    .where(JobStudyRow.status.in_(("queued", "running", RECEIVING)))
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
            return [begin(row, self._process) for row in rows]

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
            return None if row is None else begin(row, self._process)

    def release(self, *, restarted: bool = False) -> None:
        """Requeue the studies of processes that have ended; give up those tried too often, remove
        those that were not accepted yet, and cancel those of revoked keys.

        If this process has ``restarted`` its work, also those that it left running itself.
        """
        process, status = JobStudyRow.process, JobStudyRow.status
        others = process.is_(None) | (process != self._process)
        worked_on = status.in_(("running", RECEIVING)) & others
        with Session(self._engine) as session:
            found = session.scalars(select(process).where(worked_on).distinct()).all()
            if not (found or restarted):
                return
        with writing(self._engine) as session:
            ended = gone(session.connection(), [one for one in found if one is not None])
            left = worked_on & (process.is_(None) | process.in_(ended))
            _remove_received(session, left)
            if restarted:
                left |= process == self._process
            running = select(JobStudyRow).where(left, status == "running")
            for row in session.scalars(running.with_for_update()):
                _requeue(row)
            for owner in session.scalars(revoked_keys()).all():
                cancel_all(session, owner)

    def running(self) -> set[UUID]:
        """Return the generations of the studies that run in this process, as the database has it:
        others may have cancelled one."""
        mine = (JobStudyRow.process == self._process, JobStudyRow.status == "running")
        with Session(self._engine) as session:
            found = session.scalars(select(JobStudyRow.generation_id).where(*mine))
            return {UUID(one) for one in found}

    def park(self, generation_id: UUID) -> None:
        """Requeue a study that runs here without counting the attempt: the server is stopping."""
        with writing(self._engine) as session:
            session.execute(
                update(JobStudyRow)
                .where(JobStudyRow.generation_id == str(generation_id))
                .where(JobStudyRow.status == "running", JobStudyRow.process == self._process)
                .values(status="queued", process=None, attempts=JobStudyRow.attempts - 1)
            )

    def finish(self, generation: Generation, *, audit: NewEntry | None = None) -> bool:
        """Store the generation of a study that runs here. Returns False if it was cancelled, or
        was given to another process."""
        with writing(self._engine) as session:
            row = session.scalars(_of(generation.id).with_for_update()).first()
            if row is None or not self._runs_here(row):
                return False
            end(row, "done", None)
            session.add(to_row(generation))
            if audit is not None:
                append(session, audit)
            return True

    def fail(self, generation_id: UUID, detail: str) -> None:
        """Mark a study that runs here as failed, with the reason."""
        with erasing(self._engine) as session:
            row = session.scalars(_of(generation_id).with_for_update()).first()
            if row is not None and self._runs_here(row):
                end(row, "failed", detail)

    def cancel(self, generation_id: UUID, *, audit: NewEntry | None = None) -> bool:
        """Cancel a queued or running study. Returns False if it had already ended."""
        with erasing(self._engine) as session:
            row = session.scalars(_of(generation_id).with_for_update()).first()
            if row is None or row.status not in ("queued", "running"):
                return False
            end(row, "cancelled", None)
            if audit is not None:
                append(session, audit)
            return True

    def _runs_here(self, row: JobStudyRow) -> bool:
        return row.status == "running" and row.process == self._process


def _of(generation_id: UUID) -> Select[JobStudyRow]:
    return select(JobStudyRow).where(JobStudyRow.generation_id == str(generation_id))


def _remove_received(session: Session, which: ColumnElement[bool]) -> None:
    """Their images go with them, without being read."""
    session.execute(delete(JobStudyRow).where(JobStudyRow.status == RECEIVING, which))


def _requeue(row: JobStudyRow) -> None:
    if row.attempts < ATTEMPTS:
        row.status, row.process = "queued", None
    else:
        why = f"the server stopped {row.attempts} times while it worked on it"
        end(row, "failed", why)


def _suspects() -> Select[JobStudyRow]:
    return (
        select(JobStudyRow)
        .where(JobStudyRow.status == "queued", JobStudyRow.attempts > 0)
        .order_by(JobStudyRow.attempts, JobStudyRow.number)
        .limit(1)
    )
