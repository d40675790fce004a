"""What the command line says of a source, for every verb that reads one."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from db.errors import UserError
from indexer.sources.source_options import SOURCES, SourceOptions


def add_source_arguments(verb: argparse.ArgumentParser) -> None:
    """``--source`` and all that a source may need; `options_of` takes them up."""
    verb.add_argument("--source", required=True, choices=SOURCES, metavar="NAME", help=_names())
    verb.add_argument("--vectors", type=Path, metavar="DIR", help="stored vectors, not images")
    verb.add_argument("--split", help="train, val, test, unlisted; several with commas")
    _add_places(verb)


def add_split_arguments(verb: argparse.ArgumentParser) -> None:
    """The same for a verb that needs the images of one split; it says itself which is ``split``."""
    verb.add_argument(
        "--source", default="openi", choices=SOURCES, metavar="NAME", help=f"{_names()} (openi)"
    )
    verb.set_defaults(vectors=None)
    _add_places(verb)


def _add_places(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--data-dir", type=Path, metavar="PATH", help="folder of the data set, or one's own file"
    )
    verb.add_argument("--reports", type=Path, metavar="PATH", help="reports apart from the images")
    verb.add_argument("--split-file", type=Path, metavar="FILE", help="JSON: split to study ids")
    verb.add_argument("--name", help="what one's own cases are cited by (default: local)")
    verb.add_argument(
        "--columns", metavar="OURS=THEIRS,...", help="names of columns, e.g. image=File,text=Report"
    )
    verb.add_argument(
        "--images-dir", type=Path, metavar="DIR", help="where images in a table are put, as files"
    )


def options_of(arguments: argparse.Namespace) -> SourceOptions:
    """Raises UserError for columns that are not named as they should be."""
    return SourceOptions(
        data_dir=arguments.data_dir,
        vectors=arguments.vectors,
        reports=arguments.reports,
        split_file=arguments.split_file,
        split=arguments.split,
        name=arguments.name,
        columns=_columns(arguments.columns.split(",") if arguments.columns else ()),
        images_dir=arguments.images_dir,
    )


def _columns(pairs: Sequence[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not (ours.strip() and equals and theirs.strip()):
            raise UserError(f"--columns: '{pair}' is not like image=File")
        columns[ours.strip()] = theirs.strip()
    return columns


def _names() -> str:
    return f"one of {', '.join(SOURCES)}"
