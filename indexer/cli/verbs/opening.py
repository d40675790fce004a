"""Open what a command names: a source, an encoder."""

import sys

from tqdm import tqdm

from indexer.encoder.load import load_encoder
from indexer.encoder.spec import Encoder
from indexer.sources.catalogue import open_source
from indexer.sources.records import Source
from indexer.sources.source_options import SourceOptions


def opened(name: str, options: SourceOptions) -> Source:
    """Open a source and say what it guessed, above a progress bar that is shown."""
    source = open_source(name, options)
    for line in getattr(source, "remarks", ()):
        tqdm.write(line, file=sys.stderr)
    return source


def encoder_named(name: str, device: str) -> Encoder:
    return load_encoder(name, device=device)
