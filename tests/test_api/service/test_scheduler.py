"""The queue: fair, bounded, in batches, and quick to forget what nobody waits for."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import anyio
import pytest

from api.pipeline.admission import Admission
from api.pipeline.scheduler import Batch, BatchScheduler, BusyError, FairQueue, Ticket


def test_owners_take_turns_and_keep_their_own_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.put(item, item[0])
    assert queue.take(4) == ["a1", "b1", "c1", "a2"]
    queue.put("b2", "b")
    assert queue.take(9) == ["c2", "a3", "b2"]
    assert queue.take(1) == []


def test_an_item_can_be_dropped_once() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.put("a1", "a")
    queue.put("a2", "a")
    assert queue.drop("a1", "a") and not queue.drop("a1", "a") and not queue.drop("x", "b")
    assert queue.take(2) == ["a2"]


class Slow:
    """Work that waits for a signal, and remembers its batches."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[list[int]] = []
        self.left: list[bool] = []

    def __call__(self, tickets: Sequence[Ticket[int]]) -> Iterator[tuple[int, int | Exception]]:
        self.batches.append([ticket.work for ticket in tickets])
        assert self.go.wait(60)
        self.left += [ticket.cancelled.is_set() for ticket in tickets]
        for place, ticket in enumerate(tickets):
            work = ticket.work
            yield place, ValueError(str(work)) if work < 0 else 2 * work


def test_waiting_work_is_batched_and_each_caller_gets_its_own_result() -> None:
    slow, results = Slow(), {}

    async def main() -> None:
        async def ask(work: int) -> None:
            try:
                results[work] = await scheduler.run(work, owner="a" if work % 2 else "b")
            except ValueError as error:
                results[work] = str(error)

        async with (
            BatchScheduler(slow, stage="test", max_batch=3) as scheduler,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(ask, 1)
            while not slow.batches:
                await anyio.sleep(0.001)
            for work in (3, 5, 7, -2):
                tasks.start_soon(ask, work)
            await anyio.sleep(0.01)
            slow.go.set()

    anyio.run(main)
    assert slow.batches == [[1], [3, -2, 5], [7]]
    assert results == {1: 2, 3: 6, 5: 10, 7: 14, -2: "-2"}


def test_abandoned_work_is_not_started_or_is_cancelled() -> None:
    slow = Slow()

    async def main() -> None:
        async with BatchScheduler(slow, stage="test", max_batch=1) as scheduler:
            async with anyio.create_task_group() as tasks:
                for work in (1, 2):
                    tasks.start_soon(lambda work=work: scheduler.run(work, owner="a"))
                while not slow.batches:
                    await anyio.sleep(0.001)
                tasks.cancel_scope.cancel()
            slow.go.set()
            assert await scheduler.run(3, owner="a") == 6

    anyio.run(main)
    assert slow.batches == [[1], [3]]
    assert slow.left == [True, False]


def test_a_failed_batch_fails_no_other() -> None:
    def break_once(tickets: Sequence[Ticket[int]]) -> list[tuple[int, int | Exception]]:
        if tickets[0].work == 1:
            raise RuntimeError("broken")
        return [(place, ticket.work) for place, ticket in enumerate(tickets)]

    async def main() -> None:
        async with BatchScheduler(break_once, stage="test", max_batch=1) as scheduler:
            with pytest.raises(RuntimeError, match="broken"):
                await scheduler.run(1, owner="a")
            assert await scheduler.run(2, owner="a") == 2

    anyio.run(main)


def test_a_result_is_returned_before_the_rest_of_its_batch() -> None:
    given, go = [], threading.Event()

    def one_by_one(tickets: Sequence[Ticket[int]]) -> Iterator[tuple[int, int | Exception]]:
        for place in reversed(range(len(tickets))):
            yield place, tickets[place].work
            if place == 1:
                assert go.wait(60)

    async def main() -> None:
        async def ask(work: int) -> None:
            given.append(await scheduler.run(work, owner="a"))

        async with BatchScheduler(one_by_one, stage="test", max_batch=3) as scheduler:
            async with anyio.create_task_group() as tasks:
                for work in (1, 2, 3):
                    tasks.start_soon(ask, work)
                while len(given) < 2:
                    await anyio.sleep(0.001)
                assert given == [3, 2]
                go.set()
            assert given == [3, 2, 1]

    anyio.run(main)


def test_a_running_batch_takes_in_waiting_work_up_to_its_size_in_turns() -> None:
    begun, go = threading.Event(), threading.Event()
    taken: list[list[str]] = []

    def joining(batch: Batch[str]) -> Iterator[tuple[int, str | Exception]]:
        begun.set()
        assert go.wait(60)
        works = [ticket.work for ticket in batch]
        ended = 0
        while ended < len(works):
            taken.append([ticket.work for ticket in batch.more(9)])
            works += taken[-1]
            yield ended, works[ended].upper()
            ended += 1

    async def main() -> None:
        given: dict[str, str] = {}

        async def ask(work: str) -> None:
            given[work] = await scheduler.run(work, owner=work[0])

        async with (
            BatchScheduler(joining, stage="test", max_batch=2) as scheduler,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(ask, "a1")
            while not begun.is_set():
                await anyio.sleep(0.001)
            for work in ("a2", "a3", "b1"):
                tasks.start_soon(ask, work)
            await anyio.sleep(0.01)
            go.set()
        assert given == {work: work.upper() for work in ("a1", "a2", "a3", "b1")}

    anyio.run(main)
    assert [len(some) for some in taken] == [1, 1, 1, 0]
    assert "b1" in taken[0] + taken[1]  # another owner's turn comes before both others of the first


def test_runners_work_side_by_side() -> None:
    barrier = threading.Barrier(2, timeout=60)

    def meet(tickets: Sequence[Ticket[int]]) -> list[tuple[int, int | Exception]]:
        barrier.wait()
        return [(place, ticket.work) for place, ticket in enumerate(tickets)]

    async def main() -> None:
        async with (
            BatchScheduler(meet, stage="test", max_batch=1, runners=2) as scheduler,
            anyio.create_task_group() as tasks,
        ):
            for work in (1, 2):
                tasks.start_soon(lambda work=work: scheduler.run(work, owner="a"))

    anyio.run(main)


def test_admission_is_bounded_and_leaves_a_place_for_another_key() -> None:
    admission = Admission(capacity=4)
    places = [admission.enter("a") for _ in range(3)]
    for place in places:
        place.__enter__()
    with pytest.raises(BusyError) as refused, admission.enter("a"):
        pass
    assert 1 <= refused.value.retry_after <= 60
    admission.check()
    with admission.enter("b"):
        with pytest.raises(BusyError):
            admission.check()
        with pytest.raises(BusyError), admission.enter("c"):
            pass
    for place in places:
        place.__exit__(None, None, None)
    assert admission.inside == 0


def test_the_only_owner_may_take_every_place() -> None:
    admission = Admission(capacity=4, shared=False)
    with ExitStack() as places:
        for _ in range(4):
            places.enter_context(admission.enter("a"))
        with pytest.raises(BusyError):
            admission.check("a")


def test_checking_capacity_takes_no_place_and_changes_no_estimate() -> None:
    admission = Admission(capacity=4)
    for _ in range(50):
        admission.check("a")
    with admission.enter("a"), admission.enter("a"):
        admission.check("a")
        with admission.enter("a"):
            with pytest.raises(BusyError) as refused:
                admission.check("a")
            assert refused.value.retry_after == 2  # at a second a piece, as at first
            admission.check("b")
            admission.check()


def test_retry_after_follows_the_duration_of_the_work() -> None:
    now = 0.0
    admission = Admission(capacity=2, shared=False, clock=lambda: now)
    given = []
    for seconds in (20.0, 1000.0, 0.0):
        for _ in range(100):
            with admission.enter("a"), admission.enter("a"):
                with pytest.raises(BusyError) as refused:
                    admission.check()
                now += seconds
        given.append(refused.value.retry_after)
    two_at_once, most, least = given
    assert 10 < two_at_once < 20
    assert (most, least) == (60, 1)
