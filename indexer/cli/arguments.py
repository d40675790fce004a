"""The command line of ``python -m indexer``."""

import argparse
from pathlib import Path

from indexer.cli.options import (
    add_index,
    add_keep,
    add_out,
    add_reading,
    add_replace_encoder,
    add_version,
    add_work,
    database_url,
    location,
)
from indexer.cli.parser import Parser
from indexer.encoder.load import DEVICES
from indexer.encoder.spec import DEFAULT_ENCODER
from indexer.sources.arguments import add_source_arguments


def parser(prog: str = "python -m indexer") -> argparse.ArgumentParser:
    """Every verb with its options."""
    whole = Parser(
        prog=prog, description="Build and maintain case indexes.", examples=["info data/index"]
    )
    verbs = whole.add_subparsers(required=True, metavar="VERB", dest="verb")

    verb = verbs.add_parser(
        "build",
        help="embed a data set and write an index directory",
        examples=[
            "--source jsonl --data-dir studies.jsonl --out data/mine",
            "--source csv --data-dir table.csv --columns image=File,text=Report --out data/mine",
            "--source jsonl --data-dir studies.jsonl --out data/mine --engine ray --address h:6379",
        ],
    )
    add_source_arguments(verb)
    add_reading(verb)
    verb.add_argument(
        "--encoder", default=DEFAULT_ENCODER, help="folder or name (default: %(default)s)"
    )
    add_device(verb)
    add_engine(verb)
    add_out(verb)
    add_version(verb)
    add_work(verb)

    verb = verbs.add_parser(
        "add",
        help="add the studies of a source that are not there yet",
        examples=["data/mine --source jsonl --data-dir more.jsonl"],
    )
    add_index(verb)
    add_source_arguments(verb)
    add_reading(verb)
    verb.add_argument("--encoder", help="default: the one that the index was built with")
    add_device(verb)
    add_version(verb)
    add_work(verb)

    verb = verbs.add_parser(
        "remove",
        help="remove studies, or a patient from every version",
        examples=["data/mine --study s12", "data/mine --patient p17 --db data/app.sqlite3"],
    )
    add_index(verb)
    verb.add_argument("--patient", metavar="ID", help="from every kept version, for good")
    verb.add_argument("--study", metavar="ID", action="append", help="may be given several times")
    verb.add_argument("--source", metavar="NAME", help="the source, if several have this id")
    verb.add_argument("--everywhere", action="store_true", help="remove from every version too")
    either = verb.add_mutually_exclusive_group()
    either.add_argument(
        "--db", type=location, metavar="DATABASE", help="application database to clean: file or URL"
    )
    either.add_argument("--no-db", action="store_true", help="no database quotes this index")
    verb.add_argument(
        "--look-in",
        metavar="DIR",
        action="append",
        default=["runs"],
        help="search this folder for adapters and backups (besides runs and the index folder)",
    )
    add_keep(verb)
    verb.add_argument("--json", action="store_true", help="print the result as JSON")

    verb = verbs.add_parser(
        "merge",
        help="merge indexes of the same encoder into one",
        examples=["data/mine data/index --out data/both"],
    )
    verb.add_argument(
        "indexes", type=location, nargs="+", metavar="INDEX", help="directories or URLs to read"
    )
    add_out(verb)
    add_version(verb)

    verb = verbs.add_parser(
        "verify",
        help="check every file, row and vector of an index",
        examples=["data/mine", "data/mine --pixels"],
    )
    add_index(verb)
    verb.add_argument("--pixels", action="store_true", help="decode every image and compare it")
    verb.add_argument("--json", action="store_true", help="print the problems as JSON")

    verb = verbs.add_parser(
        "upgrade", help="upgrade an index of an older format", examples=["data/mine"]
    )
    verb.add_argument("index", type=Path, metavar="INDEX", help="an index directory")
    add_keep(verb)

    verb = verbs.add_parser(
        "relocate",
        help="say where the images of a copied index are now",
        examples=["data/mine --root /srv/xrays"],
    )
    verb.add_argument("index", type=Path, metavar="INDEX", help="an index directory")
    verb.add_argument(
        "--root", type=Path, required=True, metavar="DIR", help="the folder that holds the images"
    )
    verb.add_argument("--json", action="store_true", help="print the result as JSON")

    verb = verbs.add_parser(
        "publish",
        help="publish an index in PostgreSQL with pgvector",
        examples=["data/mine postgresql+psycopg://cxr@db.example/index"],
    )
    verb.add_argument("index", type=Path, metavar="INDEX", help="an index directory")
    verb.add_argument("url", type=database_url, metavar="URL", help="of a PostgreSQL database")
    verb.add_argument(
        "--min-recall", type=float, default=0.97, metavar="R", help="of HNSW (%(default)s)"
    )
    add_replace_encoder(verb)
    add_keep(verb)

    verb = verbs.add_parser(
        "pull",
        help="write a published index into a directory",
        examples=["postgresql+psycopg://cxr@db.example/index data/copy"],
    )
    verb.add_argument("url", type=database_url, metavar="URL", help="of a PostgreSQL database")
    verb.add_argument("index", type=Path, metavar="INDEX", help="the index directory to write")
    add_keep(verb)

    verb = verbs.add_parser(
        "audit",
        help="check a data set before it is used (not the audit log of the service)",
        examples=["--source jsonl --data-dir studies.jsonl --encoder none --out data/audit"],
    )
    add_source_arguments(verb)
    verb.add_argument(
        "--against", type=Path, metavar="OTHER", help="an index or another folder to compare with"
    )
    verb.add_argument(
        "--encoder", default=DEFAULT_ENCODER, help="default: %(default)s; none: embed no images"
    )
    add_device(verb)
    verb.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for audit.html and audit.json"
    )
    verb.add_argument("--json", action="store_true", help="print the audit as JSON")

    verb = verbs.add_parser("info", help="describe an index", examples=["data/index --json"])
    add_index(verb)
    verb.add_argument("--json", action="store_true", help="print the manifest as JSON")

    verb = verbs.add_parser(
        "export-vectors",
        help="write vectors and study ids without reports",
        examples=["data/mine --out data/vectors"],
    )
    verb.add_argument("index", type=Path, metavar="INDEX", help="an index directory")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write")
    return whole


def add_device(verb: argparse.ArgumentParser) -> None:
    """Add ``--device`` to a command that embeds images or text."""
    verb.add_argument(
        "--device",
        choices=DEVICES,
        default="cpu",
        help="where the encoder runs (default: %(default)s)",
    )


def add_engine(verb: argparse.ArgumentParser) -> None:
    """Add the options of a build on several machines."""
    verb.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="where images are decoded and embedded (default: %(default)s)",
    )
    verb.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="of a Ray cluster; default: one is started on this machine",
    )
    verb.add_argument(
        "--workers", type=int, metavar="N", help="of Ray; default: one per GPU, or one per CPU"
    )


def add_model_device(verb: argparse.ArgumentParser) -> None:
    """Add ``--device`` to a command that runs both a language model and an encoder."""
    verb.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda or cuda:1, for model and encoder; auto: the model on a GPU if there is "
        "one, the encoder on the CPU",
    )


def encoder_device(device: str) -> str:
    """Return the encoder's device for ``--device``: a GPU only if one was named."""
    return device if device.startswith("cuda") else "cpu"
