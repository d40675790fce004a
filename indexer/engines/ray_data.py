"""Decode and embed on the machines of a Ray cluster.

    encoder = load_encoder(name)
    engine = RayData(encoder, partial(load_encoder, name, threads=1), address="ray-head:6379")
    build(source, encoder, out, engine=engine)

One task reads the records and yields numbered batches; a pool of actors decodes and embeds them,
and this process writes the results in their order, so the index has the same bytes as one that was
built here. An actor or a machine that is lost loses the batches it had, which Ray does again.
Every machine needs this project, the encoder and the images, under the same paths.
"""

import logging
import pickle
import socket
from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import ray
from ray.data import ActorPoolStrategy, DataContext, Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.exceptions import RayError

from db.errors import MismatchError, UserError
from indexer.encoder.spec import Encoder, FittingEncoder
from indexer.engines import decoding_workers
from indexer.ingest.batch_indexer import BatchIndexer
from indexer.ingest.batches import STUDIES_PER_BATCH, Decoded, Fit, Indexed, in_batches
from indexer.reports.labeller import LABELLER_VERSION
from indexer.sources.records import Source

_BATCH = "batch"
"""The column that holds a pickled batch. A block has one row, so what is lost is one batch."""
_READER_CPUS = 0.25
_QUEUED_PER_ACTOR = 4
_ACTOR_CPUS_ON_GPU = 0.5
_ANSWER_SECONDS = 10.0

Row = dict[str, Any]
LoadEncoder = Callable[[], Encoder]


class RayData:
    """The engine of a build in Ray."""

    def __init__(
        self,
        encoder: Encoder,
        load: LoadEncoder,
        *,
        address: str | None = None,
        workers: int | None = None,
        gpu: bool = False,
    ) -> None:
        """Connect to the cluster at ``address``, or start one on this machine.

        Each worker calls ``load`` once. There is one worker per GPU with ``gpu``, else one per CPU.
        Raises UserError if the cluster cannot be reached or has no GPU, or the encoder cannot be
        used so.
        """
        if gpu and not isinstance(encoder, FittingEncoder):
            raise UserError(f"encoder '{encoder.spec.name}' cannot be run in Ray on a GPU")
        _connect(address)
        found = ray.cluster_resources()
        self._cpus, gpus = found.get("CPU", 0.0), int(found.get("GPU", 0))
        if gpu and not gpus:
            raise UserError("the Ray cluster has no GPU: use --device cpu")
        self._fit = encoder.fit if isinstance(encoder, FittingEncoder) else None
        self._load, self._gpu = load, gpu
        self._workers = workers or (gpus if gpu else max(1, int(self._cpus)))
        self.studies_per_batch = decoding_workers.STUDIES_PER_BATCH if gpu else STUDIES_PER_BATCH

    def run(
        self, source: Source, indexer: BatchIndexer, first: int
    ) -> Generator[Indexed, None, None]:
        """See `indexer.ingest.run.Engine`. Raises UserError if the cluster is lost."""
        context = DataContext.get_current()
        context.execution_options.preserve_order = True
        context.target_max_block_size = 1
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        indexer = indexer.with_encoder(None)
        batches = ray.data.read_datasource(
            _Batches(source, self.studies_per_batch, first),
            override_num_blocks=1,
            num_cpus=_READER_CPUS,
            memory=1,  # unlike that of the workers, or Ray would read and embed in one task
        )
        if self._gpu:
            decoder = _Decoder(indexer, self._fit)
            batches = batches.map(decoder.decode_row, num_cpus=1)
            resources = {"num_gpus": 1, "num_cpus": _ACTOR_CPUS_ON_GPU}
        else:
            resources = {"num_cpus": self._share_of_cpus()}
        batches = batches.map(
            _Worker,
            fn_constructor_args=(indexer, self._load, self._fit),
            compute=ActorPoolStrategy(
                size=self._workers, max_tasks_in_flight_per_actor=_QUEUED_PER_ACTOR
            ),
            **resources,
        )
        try:
            for row in batches.iter_rows():
                yield pickle.loads(row[_BATCH])
        except Exception as error:  # Ray wraps what a worker raised, in ways of its own
            raise _told(error) from error

    def _share_of_cpus(self) -> float:
        """CPUs of one actor: all together leave one to the reader, which would never run else."""
        left = max(self._cpus - 1, self._cpus / 2)
        return max(0.01, min(1.0, int(100 * left / self._workers) / 100))


class _Batches(Datasource):  # type: ignore[misc]  # Ray has no types
    """Numbered batches of the records of a source, each in a block of its own."""

    def __init__(self, source: Source, studies_per_batch: int, first: int) -> None:
        super().__init__()
        self._source, self._size, self._first = source, studies_per_batch, first

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, *_: Any, **__: Any) -> list[ReadTask]:
        none = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [ReadTask(self._blocks, none)]

    def _blocks(self) -> Iterator[pd.DataFrame]:
        for batch in in_batches(self._source.records(), self._size, first=self._first):
            yield pd.DataFrame({_BATCH: [pickle.dumps(batch)]})


class _Decoder:
    def __init__(self, indexer: BatchIndexer, fit: Fit | None) -> None:
        self._indexer, self._fit = indexer, fit

    def decode(self, row: Row) -> Decoded:
        number, records = pickle.loads(row[_BATCH])
        return self._indexer.decode(number, records, fit=self._fit)

    def decode_row(self, row: Row) -> Row:
        return {_BATCH: pickle.dumps(self.decode(row))}


class _Worker:
    """Embeds batches, which it decodes if they are not; made in an actor."""

    def __init__(self, indexer: BatchIndexer, load: LoadEncoder, fit: Fit | None) -> None:
        encoder = load()
        if not encoder.spec.same_space(indexer.spec) or indexer.labeller != LABELLER_VERSION:
            raise MismatchError(
                f"{socket.gethostname()} has another encoder or labeller than the machine that "
                "builds: install the same version on both"
            )
        self._encoder = encoder
        self._indexer = indexer.with_encoder(encoder)
        self._decoder = _Decoder(self._indexer, fit)

    def __call__(self, row: Row) -> Row:
        given = pickle.loads(row[_BATCH])
        batch = given if isinstance(given, Decoded) else self._decoder.decode(row)
        return {_BATCH: pickle.dumps(self._indexed(batch))}

    def _indexed(self, batch: Decoded) -> Indexed:
        if not batch.pixels or not isinstance(self._encoder, FittingEncoder):
            return self._indexer.embed(batch)
        return self._indexer.combine(batch, self._encoder.start(np.stack(batch.pixels))())


def _connect(address: str | None) -> None:
    """Connect this process to Ray, unless it is. Raises UserError for one that does not answer."""
    if ray.is_initialized():
        return
    try:
        _check_answer(address)
        ray.init(
            address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"Ray cannot be reached at {address} ({reason}): name the address of its head node, "
            "such as ray-head:6379, or leave --address out"
        ) from error


def _check_answer(address: str | None) -> None:
    """Raise OSError or ValueError unless somebody listens there; Ray would try for minutes."""
    if address is None or address in ("auto", "local"):
        return
    place = urlsplit(address if "://" in address else f"//{address}")
    if place.hostname is None or place.port is None:
        raise ValueError("it has no port")
    socket.create_connection((place.hostname, place.port), timeout=_ANSWER_SECONDS).close()


def _told(error: Exception) -> Exception:
    """Return the UserError that a worker raised, one for a cluster that was lost, or the error."""
    link: BaseException | None = error
    while link is not None:
        cause = getattr(link, "cause", None)
        for one in (cause, link):
            if isinstance(one, UserError):
                return type(one)(str(one).strip())
        link = cause if isinstance(cause, BaseException) else link.__cause__
    if isinstance(error, RayError):
        reason = str(error).strip().partition("\n")[0]
        return UserError(f"Ray stopped ({reason}): run the same command again to resume")
    return error
