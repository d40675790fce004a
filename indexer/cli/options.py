"""Options that several verbs of ``python -m indexer`` share, and the types of their values."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from db.errors import UserError
from indexer.versions import KEPT

if TYPE_CHECKING:
    from db.engines.location import DatabaseUrl, Location


def location(text: str) -> "Location":
    """The type of an option that names something on disk, or in PostgreSQL by URL."""
    if "://" not in text:
        return Path(text)
    from db.engines.location import parse_location  # which takes time that `build` shows its bar in

    try:
        return parse_location(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def database_url(text: str) -> "DatabaseUrl":
    """The type of an argument that names a PostgreSQL database."""
    found = location(text)
    if isinstance(found, Path):
        raise argparse.ArgumentTypeError("name a database: postgresql+psycopg://USER@HOST/NAME")
    return found


def add_index(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "index", type=location, metavar="INDEX", help="an index directory, or the URL of one"
    )


def add_out(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--out",
        type=location,
        required=True,
        metavar="INDEX",
        help="the index to write: a directory, or the URL of a PostgreSQL database",
    )
    add_replace_encoder(verb)


def add_replace_encoder(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--replace-encoder",
        action="store_true",
        help="follow a version of another encoder on the server",
    )


def add_work(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--work",
        type=Path,
        default=Path("data/unpublished"),
        metavar="DIR",
        help="where an index is built before it goes to a server (default: %(default)s)",
    )


def add_reading(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--language",
        choices=("en", "any"),
        default="en",
        help="en: reports in another language get no labels; any: read them as English",
    )
    verb.add_argument(
        "--keep-identifiers",
        action="store_true",
        help="keep names, birth dates, record numbers and addresses that reports contain",
    )


def add_version(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--index-type",
        choices=("auto", "exact", "ivf"),
        help="default: by size; exact is built in memory",
    )
    verb.add_argument("--memory", type=int, metavar="MB", help="memory limit for the vectors")
    verb.add_argument("--min-recall", type=float, metavar="R", help="default: 0.98")
    add_keep(verb)
    verb.add_argument("--json", action="store_true", help="print the manifest as JSON")


def add_keep(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--keep", type=int, default=KEPT, metavar="N", help="versions to keep (%(default)s)"
    )
