"""The command line of ``python -m indexer``."""

import argparse
from pathlib import Path

from indexer.cli.parser import Parser
from indexer.encoder.spec import DEFAULT_ENCODER
from indexer.sources.arguments import add_source_arguments
from indexer.versions import KEPT


def parser() -> argparse.ArgumentParser:
    whole = Parser(prog="python -m indexer", description="Case indexes.")
    verbs = whole.add_subparsers(required=True, metavar="VERB", dest="verb")

    verb = verbs.add_parser("build", help="embed a data set and write an index directory")
    add_source_arguments(verb)
    verb.add_argument("--encoder", default=DEFAULT_ENCODER, help="default: %(default)s")
    verb.add_argument("--out", type=Path, required=True, metavar="INDEX")
    _add_version(verb)

    verb = verbs.add_parser("add", help="add the studies of a source that are not there yet")
    verb.add_argument("index", type=Path, metavar="INDEX")
    add_source_arguments(verb)
    verb.add_argument("--encoder", help="default: the one that the index was built with")
    _add_version(verb)

    verb = verbs.add_parser("remove", help="remove studies, or a patient from all there is")
    verb.add_argument("index", type=Path, metavar="INDEX")
    verb.add_argument("--patient", metavar="ID", help="from every kept version, for good")
    verb.add_argument("--study", metavar="ID", action="append", help="may be given several times")
    verb.add_argument("--source", metavar="NAME", help="whose id it is, where several have it")
    verb.add_argument("--everywhere", action="store_true", help="studies: from every version too")
    database = verb.add_mutually_exclusive_group()
    database.add_argument("--db", type=Path, metavar="FILE", help="application database to clean")
    database.add_argument("--no-db", action="store_true", help="there is none with quotes")
    verb.add_argument(
        "--look-in",
        metavar="DIR",
        action="append",
        default=["runs"],
        help="where adapters and backups may lie (runs and the folder of the index always)",
    )
    _add_keep(verb)
    verb.add_argument("--json", action="store_true", help="print what was done as JSON")

    verb = verbs.add_parser("merge", help="make one index of several with one encoder")
    verb.add_argument("indexes", type=Path, nargs="+", metavar="INDEX")
    verb.add_argument("--out", type=Path, required=True, metavar="INDEX")
    _add_version(verb)

    verb = verbs.add_parser("verify", help="check every file, row and vector of an index")
    verb.add_argument("index", type=Path, metavar="INDEX")
    verb.add_argument("--pixels", action="store_true", help="decode every image and compare it")
    verb.add_argument("--json", action="store_true", help="print the problems as JSON")

    verb = verbs.add_parser("upgrade", help="bring an index of an older format to this one")
    verb.add_argument("index", type=Path, metavar="INDEX")
    _add_keep(verb)

    verb = verbs.add_parser("audit", help="what to know of a data set before it is used")
    add_source_arguments(verb)
    verb.add_argument(
        "--against", type=Path, metavar="OTHER", help="an index, or another folder of the source"
    )
    verb.add_argument(
        "--encoder", default=DEFAULT_ENCODER, help="default: %(default)s; none: embed no image"
    )
    verb.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for audit.html and audit.json"
    )
    verb.add_argument("--json", action="store_true", help="print the audit as JSON")

    verb = verbs.add_parser("info", help="say what an index is")
    verb.add_argument("index", type=Path, metavar="INDEX")
    verb.add_argument("--json", action="store_true", help="print the manifest as JSON")

    verb = verbs.add_parser("export-vectors", help="write vectors and study ids, nothing else")
    verb.add_argument("index", type=Path, metavar="INDEX")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR")
    return whole


def _add_version(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--index-type", choices=("auto", "exact", "ivf"), help="default: by size")
    verb.add_argument("--memory", type=int, metavar="MB", help="what a search may take")
    verb.add_argument("--min-recall", type=float, metavar="R", help="default: 0.98")
    _add_keep(verb)
    verb.add_argument("--json", action="store_true", help="print the manifest as JSON")


def _add_keep(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--keep", type=int, default=KEPT, metavar="N", help="versions to keep (%(default)s)"
    )
