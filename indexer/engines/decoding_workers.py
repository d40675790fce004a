"""Decode in worker processes while a GPU embeds: ``build(..., engine=DecodingWorkers(encoder))``.

Workers read, decode and fit images, and make the cases of their reports. This process queues one
batch on the GPU before it waits for the one before, so copies, forward passes and what is written
overlap.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import numpy as np

from db.errors import UserError
from indexer.encoder.spec import FittingEncoder
from indexer.ingest.batch_indexer import BatchIndexer
from indexer.ingest.batches import Decoded, Fit, Indexed, in_batches
from indexer.sources.records import Record, Source

Item = TypeVar("Item")
Found = TypeVar("Found")

STUDIES_PER_BATCH = 128
"""Enough for a GPU to be busy with one batch; its last bits depend on it."""
_DECODED_AHEAD = 2
"""Batches decoded or being decoded, per worker."""
_QUEUED = 2
"""Batches on the GPU at a time."""


class DecodingWorkers:
    """The engine of a build on a GPU."""

    studies_per_batch = STUDIES_PER_BATCH

    def __init__(self, encoder: FittingEncoder, *, workers: int | None = None) -> None:
        """``workers``: processes that decode; one per core by default."""
        self._encoder = encoder
        self._workers = workers or os.cpu_count() or 1

    def run(
        self, source: Source, indexer: BatchIndexer, first: int
    ) -> Generator[Indexed, None, None]:
        """See `indexer.ingest.run.Engine`. Raises UserError if a worker is killed."""
        batches = in_batches(source.records(), self.studies_per_batch, first=first)
        pool = ProcessPoolExecutor(
            self._workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_set_up,
            initargs=(indexer.with_encoder(None), self._encoder.fit),
        )
        try:
            decoded = started_ahead(
                batches,
                lambda batch: _result_of(pool.submit(_decode, *batch)),
                _DECODED_AHEAD * self._workers,
            )
            for batch, vectors in started_ahead(decoded, self._start, _QUEUED - 1):
                yield indexer.combine(batch, vectors())
        except BrokenProcessPool as error:
            raise UserError(
                "a process that decoded images was killed, perhaps for want of memory: run the "
                "same command again to resume"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    def _start(self, batch: Decoded) -> Callable[[], tuple[Decoded, Callable[[], np.ndarray]]]:
        fitted = np.stack(batch.pixels) if batch.pixels else np.zeros((0, 1, 1), np.uint8)
        vectors = self._encoder.start(fitted)
        return lambda: (batch, vectors)


def started_ahead(
    items: Iterable[Item], start: Callable[[Item], Callable[[], Found]], ahead: int
) -> Iterator[Found]:
    """Yield results in the order of the items; up to ``ahead`` more items are started before a
    result is waited for."""
    pending: deque[Callable[[], Found]] = deque()
    for item in items:
        pending.append(start(item))
        if len(pending) > ahead:
            yield pending.popleft()()
    while pending:
        yield pending.popleft()()


def _result_of(future: "Future[Found]") -> Callable[[], Found]:
    return future.result


_worker: tuple[BatchIndexer, Fit] | None = None


def _set_up(indexer: BatchIndexer, fit: Fit) -> None:
    global _worker
    _worker = indexer, fit


def _decode(number: int, records: list[Record]) -> Decoded:
    assert _worker is not None
    indexer, fit = _worker
    return indexer.decode(number, records, fit=fit)
