"""From uploaded images to a stored generation; the one place that calls the generator.

Three stages, each a scheduler of its own, so that the decoding of one study, the search for
another and the writing of a third go on at the same time: decode (a few files at a time), search
(a batch through the encoder), write (a batch through the generator).
"""

import importlib.metadata
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from anyio.to_thread import run_sync

from api.middleware.access import Caller
from api.pipeline.backends import Token, Writer, Writing
from api.pipeline.citation_check import without_unsupported
from api.pipeline.current_index import CurrentIndex, shown
from api.pipeline.request import Order
from api.pipeline.scheduler import AbandonedError, Admission, BatchScheduler, Scheduler, Ticket
from api.pipeline.search import Found, Searching, search_all
from api.pipeline.storage import to_generation
from api.schemas.case_keys import case_key
from api.settings import Settings
from api.uploads import Upload
from db.app.audit_log import NewEntry
from db.app.database import AppDatabase
from db.app.generation import Generation, StoredOrigin
from db.errors import MismatchError, UserError
from generator.grounding.report import GroundedReport
from generator.prompts import Task
from indexer.encoder.spec import EncoderSpec
from indexer.images.radiograph import Radiograph
from indexer.images.reader import read_radiograph
from retriever.options import SearchOptions
from retriever.results import Retrieval

Clock = Callable[[], datetime]
"""Gives the time with its zone."""

Stage = Literal["reading", "retrieving", "writing", "checking"]
Tell = Callable[[Stage | Token], None]
"""Called with every stage as it begins and every token; from any thread."""


def tell_nobody(_: Stage | Token) -> None:
    """For who waits for the end alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Writing:
    images: tuple[Radiograph, ...]
    found: Found
    order: Order
    tell: Tell


class Pipeline:
    """One index, one generator and the database of what they made."""

    def __init__(
        self,
        *,
        current: CurrentIndex,
        writer: Writer,
        database: AppDatabase,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.current = current
        self._writer = writer
        self._database = database
        self.clock = clock
        self._alone = not settings.require_keys
        self.admission = Admission(capacity=settings.capacity)
        decoding = BatchScheduler(_decode, stage="read", max_batch=1, runners=settings.workers)
        searching = BatchScheduler(self._search, stage="search", max_batch=settings.max_batch)
        writing = BatchScheduler(self._write, stage="write", max_batch=settings.written_together)
        self._runners = (decoding, searching, writing)
        self._decoding: Scheduler[tuple[Upload, ...], tuple[Radiograph, ...]] = decoding
        self._searching: Scheduler[Searching, Found] = searching
        self._writing: Scheduler[_Writing, GroundedReport] = writing

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work is done while the block runs; what has begun when it ends is finished."""
        decoding, searching, writing = self._runners
        async with writing, searching, decoding:
            yield

    def enter(self, caller: Caller) -> AbstractContextManager[None]:
        """A place among the requests that are worked on. Raises BusyError where there is none."""
        return self.admission.enter(caller.name, alone=self._alone)

    def check_place(self, caller: Caller) -> None:
        """Raises BusyError where ``enter`` would."""
        self.admission.check(caller.name, alone=self._alone)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What the writer can do."""
        return self._writer.tasks

    def origin(self, encoder: EncoderSpec) -> StoredOrigin:
        """Where a text of now comes from."""
        return self._writer.describe(
            StoredOrigin(
                program=importlib.metadata.version("grounded-cxr"),
                encoder=encoder.name,
                encoder_sha256=encoder.weights_sha256,
            )
        )

    def check_task(self, task: Task) -> None:
        """Raises MismatchError for what takes a language model where there is none."""
        if task not in self.tasks:
            raise MismatchError(
                "this server answers no questions: it runs without a language model (start it "
                "with --model pretrained/generator)"
            )

    async def generate(
        self,
        uploads: Sequence[Upload],
        order: Order,
        caller: Caller,
        *,
        tell: Tell = tell_nobody,
    ) -> Generation:
        """Read, search, write, check, store.

        Raises UserError, and BusyError at once where there is too much work; nothing is stored
        then, nor where the call is cancelled.
        """
        self.check_task(order.task)
        with self.enter(caller):
            tell("reading")
            images = await self.read(uploads, caller)
            return await self.write(images, order, caller, tell=tell)

    async def read(self, uploads: Sequence[Upload], caller: Caller) -> tuple[Radiograph, ...]:
        """The decoded images of one study. Raises UserError for the first bad one."""
        return await self._decoding.run(tuple(uploads), owner=caller.name)

    async def write(
        self,
        images: tuple[Radiograph, ...],
        order: Order,
        caller: Caller,
        *,
        tell: Tell = tell_nobody,
        generation_id: UUID | None = None,
        store: Callable[[Generation, NewEntry], None] | None = None,
    ) -> Generation:
        """``generate`` for images that are decoded, without asking whether there is a place."""
        self.check_task(order.task)
        tell("retrieving")
        searching = Searching(
            images=images,
            options=order.options,
            find=self._writer.find,
            votes=order.task == "classify",
        )
        found = await self._searching.run(searching, owner=caller.name)
        tell("writing")
        writing = _Writing(images=images, found=found, order=order, tell=tell)
        report = await self._writing.run(writing, owner=caller.name)
        tell("checking")
        generation = to_generation(
            without_unsupported(report),
            found.retrieval,
            order,
            generation_id=generation_id or uuid4(),
            created_at=self.clock(),
            created_by=caller.name,
            origin=self.origin(found.encoder),
        )
        await run_sync(store or self._store, generation, self._entry_of(generation, caller))
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
        """Hits alone; of what was searched, only the audit log keeps a trace."""
        with self.enter(caller):
            images = await self.read(uploads, caller) if uploads else ()
            searching = Searching(images=images, options=options, text=text, case=case)
            found = await self._searching.run(searching, owner=caller.name)
        retrieval = found.retrieval
        details = {
            "images_sha256": list(retrieval.images_sha256),
            "by_words": text is not None,
            "by_case": case,
            "index": retrieval.index_fingerprint,
            "cases": [case_key(hit.case.source, hit.case.study_id) for hit in retrieval.hits],
        }
        await run_sync(self._database.audit.append, self.entry("search", caller, **details))
        return retrieval

    async def preview(self, upload: Upload, caller: Caller) -> bytes:
        """An uploaded image as the search sees it, as PNG."""
        with self.enter(caller):
            (image,) = await self.read([upload], caller)
            return await run_sync(shown, image.pixels)

    def entry(self, action: str, caller: Caller, **details: object) -> NewEntry:
        """An entry for the audit log, of now."""
        return NewEntry(
            at=self.clock(),
            caller=caller.name,
            action=action,
            details=details,
            request_id=caller.request_id,
        )

    def _entry_of(self, generation: Generation, caller: Caller) -> NewEntry:
        return self.entry(
            generation.task,
            caller,
            generation=str(generation.id),
            images_sha256=list(generation.images_sha256),
            generator=generation.generator,
            index=generation.index_fingerprint,
            cited=sorted(case_key(*case) for case in generation.cited),
        )

    def _store(self, generation: Generation, entry: NewEntry) -> None:
        self._database.generations.add(generation, audit=entry)

    def _search(
        self, tickets: Sequence[Ticket[Searching]]
    ) -> Iterator[tuple[int, Found | Exception]]:
        yield from enumerate(search_all(self.current.retriever, tickets))

    def _write(
        self, tickets: Sequence[Ticket[_Writing]]
    ) -> Iterator[tuple[int, GroundedReport | Exception]]:
        writings = [
            Writing(
                images=ticket.work.images,
                retrieval=ticket.work.found.retrieval,
                votes=ticket.work.found.votes,
                order=ticket.work.order,
                cancelled=ticket.left.is_set,
            )
            for ticket in tickets
        ]
        for place, written in self._writer.write(writings):
            if isinstance(written, Token):
                tickets[place].work.tell(written)
            else:
                yield place, written


def _decode(
    tickets: Sequence[Ticket[tuple[Upload, ...]]],
) -> Iterator[tuple[int, tuple[Radiograph, ...] | Exception]]:
    for place, ticket in enumerate(tickets):
        try:
            images = []
            for upload in ticket.work:
                ticket.check()
                images.append(read_radiograph(upload.data, name=upload.name))
            yield place, tuple(images)
        except (UserError, AbandonedError) as error:
            yield place, error
