"""Arguments of the benches that measure on a split of Open-I.

add_split(parser)                       # --index, --data-dir, --split-file, --split
source = split_of(arguments)
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from indexer.sources.openi import OpenI
from indexer.sources.records import read_split


def add_split(
    parser: argparse.ArgumentParser,
    *,
    index: str | None = "of the cases to search",
    splits: Sequence[str] | None = None,
) -> None:
    """``index`` is the help of ``--index``, None for none; ``splits`` are those to choose from,
    where these are not all."""
    if index is not None:
        parser.add_argument("--index", type=Path, required=True, help=index)
    parser.add_argument("--data-dir", type=Path, required=True, help="the Open-I folder")
    parser.add_argument("--split-file", type=Path, required=True)
    parser.add_argument("--split", choices=splits, default="val")


def split_of(arguments: argparse.Namespace) -> OpenI:
    """Raises UserError where the data or the split file cannot be read."""
    return OpenI(
        data_dir=arguments.data_dir,
        splits=read_split(arguments.split_file),
        keep=[arguments.split],
    )
