"""Decode and embed one batch after the other: ``build(..., engine=InProcess())``."""

from collections.abc import Generator

from indexer.ingest.batch_indexer import BatchIndexer
from indexer.ingest.batches import STUDIES_PER_BATCH, Indexed, in_batches
from indexer.sources.records import Source


class InProcess:
    """The engine of a build on the CPU."""

    studies_per_batch = STUDIES_PER_BATCH

    def run(
        self, source: Source, indexer: BatchIndexer, first: int
    ) -> Generator[Indexed, None, None]:
        """See `indexer.ingest.run.Engine`."""
        for number, records in in_batches(source.records(), self.studies_per_batch, first=first):
            yield indexer.embed(indexer.decode(number, records))
