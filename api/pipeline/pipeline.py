"""From uploaded images to a stored generation: decode, search, write, check, store.

    async with pipeline.running():
        generation = await pipeline.generate(uploads, request, caller, emit=emit)

`api.pipeline.stages` says how studies pass through the stages together.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from api.middleware.access import Caller
from api.pipeline.admission import Admission
from api.pipeline.backends import Backend
from api.pipeline.byte_budget import ByteBudget
from api.pipeline.current_index import CurrentIndex
from api.pipeline.images import ImageReading
from api.pipeline.search import SearchInput, SearchOutput
from api.pipeline.stages import Emit, Schedulers, WarningLine, WriteInput, discard
from api.uploads import Upload
from db.app.audit_log import NewEntry
from db.app.database import AppDatabase
from db.app.generation import Generation, Origin, ScoreRegion
from db.app.generations import generation_entry
from db.errors import MismatchError
from db.index.case import case_key
from generator.assessment.calibration import Calibration
from generator.assessment.situation import study_warnings
from generator.generation import origin_of, to_generation
from generator.grounding.report import GroundedReport
from generator.localization.regions import regions_in
from generator.prior.indexed import find_prior
from generator.prior.retrieved import check_pair
from generator.prior.statements import compare_report
from generator.prompts import Task
from generator.request import GenerationRequest
from indexer.encoder.spec import EncoderSpec
from indexer.images.radiograph import Radiograph
from retriever.options import SearchOptions
from retriever.results import Retrieval

Clock = Callable[[], datetime]
"""Returns the current time, with a time zone."""

Store = Callable[[Generation, NewEntry], Awaitable[None]]
"""Stores a generation with its audit entry."""


class Pipeline:
    """Writes and stores generations with one index, one backend and one database."""

    def __init__(
        self,
        *,
        current: CurrentIndex,
        backend: Backend,
        schedulers: Schedulers,
        database: AppDatabase,
        admission: Admission,
        budget: ByteBudget,
        clock: Clock,
    ) -> None:
        self.current = current
        self.admission = admission
        self.clock = clock
        self.images = ImageReading(schedulers, budget)
        self._backend = backend
        self._schedulers = schedulers
        self._database = database
        # While the database is locked every request waits in a thread of its own, and the threads
        # of reads and health checks stay free.
        self._storing = CapacityLimiter(math.inf)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Process work while the block runs; batches in progress at its end are finished."""
        stages = self._schedulers
        async with stages.writing, stages.searching, stages.decoding, stages.receiving:
            yield

    @contextmanager
    def enter(self, caller: Caller) -> Iterator[None]:
        """Hold a place among the active requests, and the images that they read.

        Raises BusyError if there is none.
        """
        with self.admission.enter(caller.name), self.images.kept():
            yield

    def check_capacity(self, caller: Caller) -> None:
        """Raises BusyError if ``enter`` would."""
        self.admission.check(caller.name)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that the backend supports."""
        return self._backend.tasks

    def origin(self, encoder: EncoderSpec) -> Origin:
        """Describe what would write a generation now."""
        return self._backend.describe(origin_of(encoder))

    def check_task(self, task: Task) -> None:
        """Raises MismatchError for a task that the backend does not support."""
        if task not in self.tasks:
            raise MismatchError(
                f"this server does not {task}: its backend writes {', '.join(self.tasks)} only"
            )

    async def check_exclusions(self, options: SearchOptions) -> None:
        """Raises UserError for a patient or study to exclude that the index does not hold."""
        await run_sync(self.current.retriever.check_exclusions, options)

    async def generate(
        self,
        uploads: Sequence[Upload],
        request: GenerationRequest,
        caller: Caller,
        *,
        prior: Sequence[Upload] = (),
        emit: Emit = discard,
    ) -> Generation:
        """Read, search, write, check, store.

        ``prior`` are the images of the patient's own prior study, where the request has one.

        Raises UserError, BusyError at once if the server is busy, and ForbiddenError if the key of
        the caller was revoked meanwhile. Nothing is stored after an error or a cancelled call.
        """
        self.check_task(request.task)
        with self.enter(caller):
            emit("reading")
            images, prior_images = await self.images.read_with_prior(uploads, prior, caller)
            return await self.write(images, request, caller, prior_images=prior_images, emit=emit)

    async def with_prior(
        self, request: GenerationRequest, prior: Sequence[Upload]
    ) -> tuple[GenerationRequest, Sequence[Upload]]:
        """The request and the images of its prior study, found in the index if it asks for that.

        Raises UserError where the index has none, or its images are not on this machine.
        """
        if request.prior is None or request.prior.patient_id is None:
            return request, prior
        find = partial(
            find_prior, self.current.retriever.index.cases, request.prior, request.options
        )
        case, found = await run_sync(find)
        key = case_key(case.source, case.study_id)
        numbers = range(1, len(case.images) + 1)
        images = [await self.current.case_image(key, number) for number in numbers]
        return replace(request, prior=found), images

    async def write(
        self,
        images: tuple[Radiograph, ...],
        request: GenerationRequest,
        caller: Caller,
        *,
        prior_images: tuple[Radiograph, ...] = (),
        emit: Emit = discard,
        generation_id: UUID | None = None,
        store: Store | None = None,
    ) -> Generation:
        """Do as ``generate`` for decoded images, even if the server is busy."""
        self.check_task(request.task)
        if request.prior is not None:
            check_pair(images, prior_images, request.prior)
        emit("retrieving")
        searching = SearchInput(
            images=images,
            options=request.options,
            find=partial(self._backend.find, sensitivity=request.sensitivity),
            votes=True,
            prior=None if request.prior is None else (prior_images, request.prior),
        )
        found = await self._schedulers.searching.run(searching, owner=caller.name)
        for line in study_warnings(found.retrieval):
            emit(WarningLine(text=line))
        emit("writing")
        work = WriteInput(images=images, found=found, request=request, emit=emit)
        report = await self._schedulers.writing.run(work, owner=caller.name)
        emit("checking")
        made = partial(
            _to_generation,
            report,
            found,
            request,
            self._backend.calibration,
            generation_id=generation_id,
            created_at=self.clock(),
            created_by=caller.name,
            origin=self.origin(found.encoder),
        )
        generation = await run_sync(made)  # its maps take milliseconds
        entry = generation_entry(generation, request_id=caller.request_id)
        await (store or self._store)(generation, entry)
        return generation

    async def search(
        self,
        uploads: Sequence[Upload],
        options: SearchOptions,
        caller: Caller,
        *,
        text: str | None,
        case: str | None,
    ) -> Retrieval:
        """Return hits only; nothing is stored but an audit entry.

        Raises ForbiddenError if the key of the caller was revoked meanwhile.
        """
        with self.enter(caller):
            images = await self.images.read(uploads, caller) if uploads else ()
            searching = SearchInput(images=images, options=options, text=text, case=case)
            found = await self._schedulers.searching.run(searching, owner=caller.name)
        retrieval = found.retrieval
        details = {
            "images_sha256": list(retrieval.images_sha256),
            "by_words": text is not None,
            "by_case": case,
            "index": retrieval.index_fingerprint,
            "cases": [case_key(hit.case.source, hit.case.study_id) for hit in retrieval.hits],
        }
        entry = self.entry("search", caller, **details)
        await self.admit(entry)
        return retrieval

    async def case_regions(
        self, file: Upload, number: int, observations: Collection[str], caller: Caller
    ) -> list[ScoreRegion]:
        """Return what the scores of an image of a case rest on, within `enter`; nothing is stored.

        ``number`` is that of the image. Raises UserError for one that cannot be read, MismatchError
        for an encoder that cannot say.
        """
        (image,) = await self.images.read([file], caller)
        find = partial(regions_in, self.current.retriever.encoder, image, observations)
        return [replace(one, image=number) for one in await run_sync(find)]

    def entry(self, action: str, caller: Caller, **details: object) -> NewEntry:
        """Make an audit entry with the current time."""
        return NewEntry(
            at=self.clock(),
            caller=caller.name,
            action=action,
            details=details,
            request_id=caller.request_id,
        )

    async def admit(self, entry: NewEntry) -> None:
        """Store the entry of what its caller is about to be shown or to do elsewhere.

        Raises ForbiddenError if the key of the caller was revoked meanwhile.
        """
        await run_sync(self._database.audit.admit, entry, limiter=self._storing)

    async def _store(self, generation: Generation, entry: NewEntry) -> None:
        add = partial(self._database.generations.add, generation, audit=entry)
        await run_sync(add, limiter=self._storing)


def _to_generation(
    report: GroundedReport,
    found: SearchOutput,
    request: GenerationRequest,
    calibration: Calibration | None,
    **values: Any,
) -> Generation:
    """Compare with the prior study, if there is one, and check the result."""
    if found.prior is not None and request.prior is not None:
        report = compare_report(
            report,
            found.retrieval,
            found.votes,
            found.prior,
            request.prior,
            calibration=calibration,
            sensitivity=request.sensitivity,
        )
    return to_generation(report, found.retrieval, request, **values)
