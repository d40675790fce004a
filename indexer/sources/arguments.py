"""Command line arguments that choose a source, for every verb that reads one."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from db.errors import UserError
from indexer.sources.source_options import SOURCES, SourceOptions

_PAIR = re.compile(",(?=[^,=]+=)")
"""The comma before a pair; others belong to the name of a column."""


def add_source_arguments(verb: argparse.ArgumentParser) -> None:
    """Add ``--source`` and the options of sources; `options_of` reads them."""
    verb.add_argument("--source", required=True, choices=SOURCES, metavar="NAME", help=_names())
    verb.add_argument(
        "--vectors", type=Path, metavar="DIR", help="use stored vectors instead of images"
    )
    verb.add_argument("--split", help="train, val, test, unlisted; separate several by commas")
    _add_places(verb)


def add_split_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the same for a verb that needs the images of one split and sets ``split`` itself."""
    verb.add_argument(
        "--source", default="openi", choices=SOURCES, metavar="NAME", help=f"{_names()} (openi)"
    )
    verb.set_defaults(vectors=None)
    _add_places(verb)


def add_own_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the same for a verb whose data is a positional argument, ``data_dir``."""
    verb.add_argument(
        "--source", choices=SOURCES, metavar="NAME", help=f"{_names()} (by the file's suffix)"
    )
    verb.set_defaults(vectors=None)
    _add_options(verb)


def _add_places(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--data-dir", type=Path, metavar="PATH", help="folder of the data set, or your own file"
    )
    _add_options(verb)


def _add_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--reports", type=Path, metavar="PATH", help="reports, if not with the images"
    )
    verb.add_argument("--split-file", type=Path, metavar="FILE", help="JSON: split to study ids")
    verb.add_argument(
        "--split-by",
        metavar="patient:SHARE",
        help="draw this share of the patients as val, the others as train",
    )
    verb.add_argument("--name", help="source name for your own cases (default: local)")
    verb.add_argument(
        "--columns",
        metavar="OURS=THEIRS,...",
        help="your column names, such as image=File,text=Report; guessed if not given",
    )
    verb.add_argument(
        "--images-dir",
        type=Path,
        metavar="DIR",
        help="where the images of a table are, or where to write those it holds",
    )

    verb.add_argument(
        "--accept-as-chest",
        action="store_true",
        help="read DICOM images also if the header names another modality or body part",
    )


def options_of(arguments: argparse.Namespace) -> SourceOptions:
    """Read the options of a source. Raises UserError for malformed ``--columns``."""
    return SourceOptions(
        data_dir=arguments.data_dir,
        vectors=arguments.vectors,
        reports=arguments.reports,
        split_file=arguments.split_file,
        split_by=arguments.split_by,
        split=arguments.split,
        name=arguments.name,
        columns=_columns(_PAIR.split(arguments.columns) if arguments.columns else ()),
        images_dir=arguments.images_dir,
        accept_as_chest=arguments.accept_as_chest,
    )


def _columns(pairs: Sequence[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not (ours.strip() and equals):
            raise UserError(f"--columns: '{pair}' is not of the form image=File")
        columns[ours.strip()] = theirs.strip()
    return columns


def _names() -> str:
    return f"one of {', '.join(SOURCES)}"
