"""The engine of a build that the command line names."""

import argparse
from functools import partial

from db.errors import UserError
from db.extras import importing
from indexer.encoder.load import load_encoder
from indexer.encoder.spec import Encoder, EncoderSpec, FittingEncoder
from indexer.ingest.run import Engine


def engine_named(arguments: argparse.Namespace, encoder: Encoder | EncoderSpec) -> Engine | None:
    """Return the engine for ``--engine``. Raises UserError for options that do not fit together,
    and as `indexer.engines.ray_data.RayData`."""
    if arguments.engine == "local":
        for option, value in (("--address", arguments.address), ("--workers", arguments.workers)):
            if value is not None:
                raise UserError(f"{option} is for --engine ray")
        return local_engine(arguments.device, encoder)
    if isinstance(encoder, EncoderSpec):
        raise UserError("this source is embedded already: leave --engine ray out")
    if arguments.workers is not None and arguments.workers < 1:
        raise UserError(f"--workers must be at least 1, not {arguments.workers}")
    with importing():
        from indexer.engines.ray_data import RayData
    return RayData(
        encoder,
        partial(load_encoder, arguments.encoder, device=arguments.device, threads=1),
        address=arguments.address,
        workers=arguments.workers,
        gpu=arguments.device != "cpu",
    )


def local_engine(device: str, encoder: Encoder | EncoderSpec) -> Engine | None:
    """Return an engine that keeps a GPU busy; None on the CPU."""
    if device == "cpu" or not isinstance(encoder, FittingEncoder):
        return None
    from indexer.engines.decoding_workers import DecodingWorkers

    return DecodingWorkers(encoder)
