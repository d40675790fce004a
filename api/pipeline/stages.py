"""The three stages of a study, each with its own scheduler, and what passes between them.

One study is decoded while another is searched for and a third is written: decode (a few files at a
time), search (a batch through the encoder), write (a batch through the backend).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from api.pipeline.backends import Backend, BackendRequest, JoiningBackend, Token, TokenCount
from api.pipeline.current_index import CurrentIndex
from api.pipeline.decoding.messages import DecodingKind
from api.pipeline.decoding.processes import Decoded, Decoding
from api.pipeline.scheduler import (
    Batch,
    BatchScheduler,
    RunBatch,
    Scheduler,
    Ticket,
    WorkCancelledError,
)
from api.pipeline.search import SearchInput, SearchOutput, search_all
from api.settings import Settings
from api.uploads import Upload
from db.errors import UserError
from generator.grounding.report import GroundedReport
from generator.request import GenerationRequest
from indexer.images.radiograph import Radiograph

Stage = Literal["reading", "retrieving", "writing", "checking"]


@dataclass(frozen=True, kw_only=True)
class WarningLine:
    """What a reader must know before the text."""

    text: str


Progress = Stage | Token | TokenCount | WarningLine
Emit = Callable[[Progress], None]
"""Called at the start of every stage, with the images' check before anything is written, for every
token, and with the number of tokens where a language model wrote, from any thread."""


_WAITING_LARGE = 16
"""Large files that may wait for the one process that decodes them without delaying others."""


def discard(_: Progress) -> None:
    """Ignore progress; for callers that need only the result."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WriteInput:
    """The input of the writing stage for one study."""

    images: tuple[Radiograph, ...]
    found: SearchOutput
    request: GenerationRequest
    emit: Emit


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodeInput:
    """Files to decode, in order."""

    kind: DecodingKind
    uploads: tuple[Upload, ...]


@dataclass(frozen=True, kw_only=True)
class Schedulers:
    """The schedulers of the stages; `Pipeline.running` enters them."""

    decoding: Scheduler[DecodeInput, tuple[Decoded, ...]]
    receiving: Scheduler[DecodeInput, tuple[Decoded, ...]]
    """Decodes what is kept for later, such as batches, beside the images of those who wait."""
    searching: Scheduler[SearchInput, SearchOutput]
    writing: Scheduler[WriteInput, GroundedReport]

    @classmethod
    def in_process(
        cls, current: CurrentIndex, backend: Backend, decoding: Decoding, settings: Settings
    ) -> Self:
        """Run the stages in threads of this process, on its index and backend."""
        decode = _decode_with(decoding)
        return cls(
            decoding=BatchScheduler(
                decode, stage="read", max_batch=1, runners=_WAITING_LARGE + settings.workers
            ),
            receiving=BatchScheduler(
                decode, stage="receive", max_batch=1, runners=_WAITING_LARGE + settings.workers
            ),
            searching=BatchScheduler(
                _search_with(current), stage="search", max_batch=settings.max_batch
            ),
            writing=BatchScheduler(
                _write_with(backend),
                stage="write",
                max_batch=settings.written_together,
                runners=backend.concurrency,
            ),
        )


def _decode_with(decoding: Decoding) -> RunBatch[DecodeInput, tuple[Decoded, ...]]:
    def decode(
        tickets: Sequence[Ticket[DecodeInput]],
    ) -> Iterator[tuple[int, tuple[Decoded, ...] | Exception]]:
        for place, ticket in enumerate(tickets):
            try:
                images = []
                for upload in ticket.work.uploads:
                    ticket.check()
                    images.append(decoding.run(ticket.work.kind, upload, ticket.cancelled))
                yield place, tuple(images)
            except (UserError, WorkCancelledError) as error:
                yield place, error

    return decode


def _search_with(current: CurrentIndex) -> RunBatch[SearchInput, SearchOutput]:
    def search(
        tickets: Sequence[Ticket[SearchInput]],
    ) -> Iterator[tuple[int, SearchOutput | Exception]]:
        yield from enumerate(search_all(current.retriever, tickets))

    return search


def _write_with(backend: Backend) -> RunBatch[WriteInput, GroundedReport]:
    def write(
        batch: Batch[WriteInput],
    ) -> Iterator[tuple[int, GroundedReport | Exception]]:
        emits: list[Emit] = []

        def requests(tickets: Sequence[Ticket[WriteInput]]) -> list[BackendRequest]:
            emits.extend(ticket.work.emit for ticket in tickets)
            return [_request(ticket) for ticket in tickets]

        outputs = (
            backend.write(requests(batch), more=lambda places: requests(batch.more(places)))
            if isinstance(backend, JoiningBackend) and backend.joins
            else backend.write(requests(batch))
        )
        for place, output in outputs:
            if isinstance(output, Token | TokenCount):
                emits[place](output)
            else:
                emits[place] = discard
                yield place, output

    return write


def _request(ticket: Ticket[WriteInput]) -> BackendRequest:
    return BackendRequest(
        images=ticket.work.images,
        retrieval=ticket.work.found.retrieval,
        votes=ticket.work.found.votes,
        request=ticket.work.request,
        cancelled=ticket.cancelled.is_set,
    )
