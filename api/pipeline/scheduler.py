"""Share one model among many clients: queue work fairly and run it in batches.

    decoding = BatchScheduler(decode_all, max_batch=1, runners=2)
    async with decoding:
        image = await decoding.run(upload, owner="ward")

A free runner takes all waiting work, up to the batch size, so a single request starts at once and
many requests share a batch, which may take in more while it runs (`Batch.more`). Owners (API keys)
take turns: an owner who sends a hundred studies delays another owner's study by one batch, not by a
hundred. The pipeline depends only on the protocol ``Scheduler``, so the scheduler of a
language-model engine can replace this one.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar, overload

import anyio
from anyio import from_thread
from anyio.abc import TaskGroup
from anyio.to_thread import run_sync

from api.middleware.observability import BATCH_SIZE, STAGE_SECONDS, WAITING
from db.errors import UnavailableError

W = TypeVar("W")
R = TypeVar("R")
W_contra = TypeVar("W_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class BusyError(UnavailableError):
    """The service has no place for another request."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            f"the server is busy: try again in {retry_after} seconds", retry_after=retry_after
        )


class WorkCancelledError(Exception):
    """The work was cancelled."""


class Scheduler(Protocol[W_contra, R_co]):
    """Runs work of many callers in some order; an async context manager."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> object: ...

    async def run(self, work: W_contra, *, owner: str) -> R_co:
        """Return the result. Cancelling the call cancels the work, even while it runs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ticket(Generic[W]):
    """A piece of work, and whether it was cancelled."""

    work: W
    cancelled: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise WorkCancelledError if the work was cancelled; call this between steps."""
        if self.cancelled.is_set():
            raise WorkCancelledError


class Batch(Sequence[Ticket[W]]):
    """The tickets of a batch, which may take in more while it runs."""

    def __init__(
        self,
        tickets: Sequence[Ticket[W]],
        more: Callable[[int], Sequence[Ticket[W]]] = lambda _: (),
    ) -> None:
        self._tickets = tickets
        self.more = more
        """Take at most so many waiting tickets into the batch, numbered after those before; call it
        in the thread that runs the batch."""

    @overload
    def __getitem__(self, place: int) -> Ticket[W]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Ticket[W]]: ...
    def __getitem__(self, place: int | slice) -> Ticket[W] | Sequence[Ticket[W]]:
        return self._tickets[place]

    def __len__(self) -> int:
        return len(self._tickets)


RunBatch = Callable[[Batch[W]], Iterable[tuple[int, R | Exception]]]
"""Runs a batch in a worker thread. Yields pairs of a position in the batch and a result or error,
each as soon as it is ready; its caller gets it then. A missing position means abandoned work."""

_JOINING = 16
"""How many batches' worth of work may pass through one that takes in more, before it ends."""


@dataclass(kw_only=True, eq=False)
class _Waiting(Generic[W, R]):
    ticket: Ticket[W]
    done: anyio.Event
    outcome: R | Exception | None = None

    def settle(self, outcome: R | Exception) -> None:
        if not self.done.is_set():
            self.outcome = outcome
            self.done.set()


class FairQueue(Generic[W]):
    """A queue that is first in, first out for each owner; owners take turns."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[W]] = {}

    def put(self, item: W, owner: str) -> None:
        self._lines.setdefault(owner, deque()).append(item)

    def __bool__(self) -> bool:
        return bool(self._lines)

    def take(self, count: int) -> list[W]:
        """Remove and return up to ``count`` items, one of each owner in turn."""
        taken: list[W] = []
        while self._lines and len(taken) < count:
            owner, line = next(iter(self._lines.items()))
            del self._lines[owner]
            taken.append(line.popleft())
            if line:
                self._lines[owner] = line  # at the end of the turn
        return taken

    def drop(self, item: W, owner: str) -> bool:
        """Remove an item from the queue. Returns False if it was already taken."""
        line = self._lines.get(owner, deque())
        if item not in line:
            return False
        line.remove(item)
        if not line:
            del self._lines[owner]
        return True


class BatchScheduler(Generic[W, R]):
    """A scheduler that runs batches in threads of this process."""

    def __init__(
        self, run_batch: RunBatch[W, R], *, stage: str, max_batch: int, runners: int = 1
    ) -> None:
        self._run_batch = run_batch
        self._stage = stage
        self._max_batch = max_batch
        self._runners = runners
        self._queue: FairQueue[_Waiting[W, R]] = FairQueue()
        self._more = anyio.Event()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        threads = anyio.CapacityLimiter(self._runners)
        for _ in range(self._runners):
            self._tasks.start_soon(self._serve, threads)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(kind, error, traceback)

    async def run(self, work: W, *, owner: str) -> R:
        waiting: _Waiting[W, R] = _Waiting(ticket=Ticket(work=work), done=anyio.Event())
        self._queue.put(waiting, owner)
        WAITING.inc()
        self._more.set()
        try:
            await waiting.done.wait()
        except BaseException:
            waiting.ticket.cancelled.set()
            if self._queue.drop(waiting, owner):
                WAITING.dec()
            raise
        if isinstance(waiting.outcome, Exception):
            raise waiting.outcome
        return waiting.outcome  # type: ignore[return-value]  # set before done

    async def _serve(self, threads: anyio.CapacityLimiter) -> None:
        while True:
            batch = self._queue.take(self._max_batch)
            if not batch:
                if self._more.is_set():  # all runners share the event
                    self._more = anyio.Event()
                await self._more.wait()
                continue
            WAITING.dec(len(batch))
            BATCH_SIZE.observe(len(batch))
            failure: Exception = WorkCancelledError()
            running = dict(enumerate(batch))
            del batch
            with STAGE_SECONDS.labels(self._stage).time():
                try:
                    await run_sync(self._work, running, limiter=threads)
                except Exception as error:
                    failure = error
            while running:  # no name keeps their images in memory until the next batch
                running.popitem()[1].settle(failure)

    def _work(self, running: dict[int, _Waiting[W, R]]) -> None:
        numbers = count(len(running))

        def take(places: int) -> list[Ticket[W]]:
            busy = sum(not one.ticket.cancelled.is_set() for one in running.values())
            taken = self._queue.take(min(places, self._max_batch - busy))
            WAITING.dec(len(taken))
            running.update(zip(islice(numbers, len(taken)), taken, strict=False))
            return [waiting.ticket for waiting in taken]

        def more(places: int) -> Sequence[Ticket[W]]:
            full = max(running, default=0) >= _JOINING * self._max_batch
            return () if full or not self._queue else from_thread.run_sync(take, places)

        def settle(place: int, outcome: R | Exception) -> None:
            running.pop(place).settle(outcome)

        first = Batch([waiting.ticket for waiting in running.values()], more)
        for place, outcome in self._run_batch(first):
            from_thread.run_sync(settle, place, outcome)
