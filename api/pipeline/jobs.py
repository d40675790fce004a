"""Process accepted studies in the background until all are done.

An accepted study is in the database before the client gets the answer. However the process ends,
another one continues: a study is done only when its generation is stored. Processes that share a
database take studies from each other's jobs, and look once a second for what one has left.

A study may have ended the process. The next process therefore retries the studies that were being
written alone, after it has run for a while without them: 1 s, and twice as long before each
further attempt. A study fails when the server has ended with it ``ATTEMPTS`` times
(`db.app.jobs.store`). A server that is killed every few seconds does not run long enough to suspect
any study.

While the database cannot be used (a full disk, a lock), every step waits for it: a report that is
written is stored as soon as that is possible, and no study fails for it.
"""

import logging
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import compress
from operator import not_
from typing import TypeVar
from uuid import UUID, uuid4

import anyio
from anyio.abc import TaskGroup
from anyio.to_thread import run_sync

from api.middleware.access import Caller
from api.pipeline.pipeline import Pipeline
from api.pipeline.scheduler import BusyError
from db.app.audit_log import NewEntry
from db.app.database import AppDatabase
from db.app.generation import Generation
from db.app.jobs.store import JobStore
from db.app.jobs.study import JobImage, JobStudy
from db.engines.engine import DatabaseFailure, why_unusable
from db.errors import UnavailableError, UserError
from generator.prior.retrieved import check_pair
from generator.request import GenerationRequest
from indexer.images.radiograph import PngRadiograph, as_one_study

logger = logging.getLogger(__name__)

T = TypeVar("T")


class CancelledStudyError(Exception):
    """A study was cancelled while its report was written."""


class ReceivedJob:
    """A job whose images still arrive."""

    def __init__(self, store: JobStore, caller: Caller, *, now: datetime) -> None:
        self.id = uuid4()
        self.studies: list[JobStudy] = []
        """Without their images."""
        self._store = store
        self._caller = caller
        self._now = now

    async def add(
        self,
        images: Sequence[PngRadiograph],
        request: GenerationRequest,
        prior_images: Sequence[PngRadiograph] = (),
    ) -> JobStudy:
        """Store one study, with its prior study if it has one.

        Raises TwoPatientsError for images of two patients, and UserError for a prior study that
        cannot be compared with.
        """
        if request.prior is not None:
            check_pair(images, prior_images, request.prior)
        study = JobStudy(
            job_id=self.id,
            generation_id=uuid4(),
            created_at=self._now,
            created_by=self._caller.name,
            request_id=self._caller.request_id,
            request=request.to_json(),
        )
        kept = tuple(
            JobImage(
                png=one.png, view_position=one.view_position, notes=one.notes, of_prior=of_prior
            )
            for of_prior, some in ((False, images), (True, prior_images))
            for one in as_one_study(some)
        )
        self.studies.append(study)
        await run_sync(self._store.receive, replace(study, images=kept))
        return study


class JobRunner:
    """Accepts studies and works through them, a few at a time beside the other requests."""

    pause = 2.0
    """Seconds before a failed database is tried again."""
    look_seconds = 1.0
    """Between two looks at what other processes did."""
    suspect_delay = 1.0
    """Seconds to run before a study that was in progress when the process ended is retried; doubled
    before each further attempt."""

    def __init__(
        self, pipeline: Pipeline, database: AppDatabase, *, together: int, capacity: int
    ) -> None:
        self._pipeline = pipeline
        self._jobs = database.jobs
        self._look_seconds = self.look_seconds if database.presence.is_shared else math.inf
        self._looked = 0.0
        self._together = together
        self._capacity = capacity
        self._running: dict[UUID, anyio.CancelScope] = {}
        self._suspect: UUID | None = None
        """The suspect in progress; it runs alone."""
        self._more = anyio.Event()

    async def check_capacity(self, studies: int) -> None:
        """Raises BusyError if so many further studies would be too many."""
        if await run_sync(self._jobs.unfinished) + studies > self._capacity:
            raise BusyError(60)

    @asynccontextmanager
    async def receive(self, caller: Caller) -> AsyncIterator["ReceivedJob"]:
        """Accept the studies that the block adds, all or none.

        Each is on disk as soon as it is added, so that a job of any size takes the memory of one
        study; they are accepted at the end of the block, and removed if it raises.
        """
        job = ReceivedJob(self._jobs, caller, now=self._pipeline.clock())
        try:
            yield job
            if job.studies:
                entry = self._pipeline.entry(
                    "accepted",
                    caller,
                    batch=str(job.id),
                    generations=[str(study.generation_id) for study in job.studies],
                )
                accept = partial(self._jobs.accept, job.id, len(job.studies), audit=entry)
                await run_sync(accept)
        except BaseException:
            with anyio.CancelScope(shield=True), suppress(DatabaseFailure):
                if job.studies:  # the next start removes them if this fails
                    await run_sync(self._jobs.discard, job.id)
            raise
        self._more.set()

    async def cancel(self, generation_id: UUID, caller: Caller) -> bool:
        """Cancel a study, even while it runs, here or in another process, which notices within a
        second. Returns False if it had already ended."""
        entry = self._pipeline.entry("cancelled", caller, generation=str(generation_id))
        cancelled = await run_sync(partial(self._jobs.cancel, generation_id, audit=entry))
        if cancelled and generation_id in self._running:
            self._running[generation_id].cancel()
        return cancelled

    async def run(self) -> None:
        """Work until cancelled; unfinished studies then wait for the next start."""
        while True:
            try:
                await self._run()
            except* Exception as errors:  # a failed statement, see `_insist`, or another defect
                logger.error("the work on jobs starts again", exc_info=errors)
            await anyio.sleep(self.pause)

    async def _run(self) -> None:
        await self._insist(partial(self._jobs.release, restarted=True))
        started = self._looked = anyio.current_time()
        try:
            async with anyio.create_task_group() as tasks:
                while True:
                    self._more = anyio.Event()
                    wait = await self._start_some(tasks, anyio.current_time() - started)
                    with anyio.move_on_after(min(wait, self._look_seconds)):
                        await self._more.wait()
                    await self._look_at_others()
        finally:
            with anyio.CancelScope(shield=True):
                with suppress(DatabaseFailure):  # the next start releases the rest
                    for generation_id in self._running:
                        await run_sync(self._jobs.park, generation_id)
                self._running.clear()

    async def _look_at_others(self) -> None:
        """Now and then: release what a process has left, and end what another one has cancelled."""
        if anyio.current_time() - self._looked < self._look_seconds:
            return
        self._looked = anyio.current_time()
        await self._insist(self._jobs.release)
        before = set(self._running)
        running = await self._insist(self._jobs.running)
        for generation_id in before - running:
            if generation_id in self._running:
                self._running[generation_id].cancel()
        for generation_id in running - before:  # claimed, but the answer was lost
            await self._insist(partial(self._jobs.park, generation_id))

    async def _start_some(self, tasks: TaskGroup, uptime: float) -> float:
        """Start the studies that may start. Returns the seconds until the next check."""
        if self._suspect in self._running:
            return math.inf
        suspicion = await self._insist(self._jobs.suspicion)
        left = None if suspicion is None else self.suspect_delay * 2 ** (suspicion - 1) - uptime
        if left is not None and left <= 0:
            if not self._running and (suspect := await self._insist(self._jobs.claim_suspect)):
                self._suspect = suspect.generation_id
                self._start(suspect, tasks)
            return math.inf
        free = self._together - len(self._running)
        for study in await self._insist(partial(self._jobs.claim, free)) if free else ():
            self._start(study, tasks)
        return math.inf if left is None else left

    def _start(self, study: JobStudy, tasks: TaskGroup) -> None:
        self._running[study.generation_id] = anyio.CancelScope()
        tasks.start_soon(self._work, study)

    async def _work(self, study: JobStudy) -> None:
        scope = self._running[study.generation_id]
        with scope:
            reason = await self._reason_to_fail(study)
            if reason is not None:
                await self._insist(partial(self._jobs.fail, study.generation_id, reason))
            del self._running[study.generation_id]
        with suppress(KeyError):
            if scope.cancelled_caught:
                del self._running[study.generation_id]
        self._more.set()

    async def _reason_to_fail(self, study: JobStudy) -> str | None:
        """Write and store the generation of a study; return why that is impossible, or None."""
        waiting = False
        while True:
            try:
                await self._write(study)
                return None
            except CancelledStudyError:
                return None
            except UnavailableError as error:
                if not waiting:
                    logger.error("jobs are waiting: %s", error)
                waiting = True
                await anyio.sleep(self.pause)
            except UserError as error:
                return str(error)
            except Exception as error:
                logger.error("a study of a job failed", exc_info=error)
                return "the server failed on this study; the cause is in its log"

    async def _insist(self, call: Callable[[], T]) -> T:
        """Return the result of a call to the database; repeat it while that cannot be used."""
        waiting = False
        while True:
            try:
                return await run_sync(call)
            except DatabaseFailure as error:
                reason = why_unusable(error)
                if reason is None:
                    raise
                if not waiting:
                    logger.error("jobs are waiting: the database cannot be used: %s", reason)
                waiting = True
                await anyio.sleep(self.pause)

    async def _write(self, study: JobStudy) -> None:
        caller = Caller(
            name=study.created_by, scopes=frozenset({"generate"}), request_id=study.request_id
        )
        async with self._pipeline.images.restored(study.images) as images:
            flags = [image.of_prior for image in study.images]
            await self._pipeline.write(
                tuple(compress(images, map(not_, flags))),
                GenerationRequest.from_json(study.request),
                caller,
                prior_images=tuple(compress(images, flags)),
                generation_id=study.generation_id,
                store=self._store,
            )

    async def _store(self, generation: Generation, entry: NewEntry) -> None:
        if not await self._insist(partial(self._jobs.finish, generation, audit=entry)):
            raise CancelledStudyError
