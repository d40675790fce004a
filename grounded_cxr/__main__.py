"""grounded-cxr: every command of the project under one name.

grounded-cxr index build --source jsonl --data-dir studies.jsonl --out data/mine
grounded-cxr search data/index pa.png lateral.png -k 5
grounded-cxr report data/index pa.png lateral.png
grounded-cxr ask data/index pa.png --question "Is the heart enlarged?"
grounded-cxr classify data/index pa.png
grounded-cxr caption data/index pa.png
grounded-cxr pacs search https://pacs.example/dicom-web --date 20260131
grounded-cxr train --index data/mine --out runs/adapter
grounded-cxr evaluate retrieval data/index --data-dir DIR --split-file FILE --split val
grounded-cxr benchmark run FOLDER --index data/index --data-dir DIR --split-file FILE --split val
grounded-cxr serve data/index
grounded-cxr db copy data/app.sqlite3 postgresql+psycopg://cxr@db.example/cxr

``python -m grounded_cxr`` is the same. Each verb is a command of one package, with the arguments
that the package itself declares: ``grounded-cxr report`` is ``python -m generator report``.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from grounded_cxr import __version__
from indexer.cli.parser import Parser, run

PROG = "grounded-cxr"


@dataclass(frozen=True, kw_only=True)
class Command:
    """Where a verb is implemented."""

    module: str
    """Has ``main(argv, prog=...)`` and ``parser(prog)``."""
    verb: str | None = None
    """The verb of that module; None where the verbs of the whole package follow."""
    about: str


COMMANDS = {
    "index": Command(module="indexer.__main__", about="build, extend, check and describe indexes"),
    "search": Command(
        module="retriever.__main__", verb="search", about="the prior cases most like a study"
    ),
    "report": Command(
        module="generator.__main__",
        verb="report",
        about="findings and impression, every sentence cited",
    ),
    "ask": Command(
        module="generator.__main__", verb="ask", about="a short answer to a question about an image"
    ),
    "classify": Command(
        module="generator.__main__",
        verb="classify",
        about="the 14 CheXpert observations, each with a probability",
    ),
    "caption": Command(
        module="generator.__main__", verb="caption", about="one sentence about an image"
    ),
    "pacs": Command(
        module="grounded_cxr.pacs.__main__",
        about="find a study in a PACS by DICOMweb, report on it, send the report back",
    ),
    "train": Command(
        module="finetune.__main__",
        verb="train",
        about="train an adapter for a Llama 3.2 Vision model",
    ),
    "evaluate": Command(
        module="evaluation.__main__",
        about="figures of retrieval or a model on a held-out split",
    ),
    "benchmark": Command(
        module="evaluation.grounding.__main__",
        about="a leaderboard of the citations in any system's reports",
    ),
    "serve": Command(
        module="api.__main__", verb="serve", about="serve the HTTP API and the web page"
    ),
    "db": Command(
        module="api.__main__",
        verb="db",
        about="copy the application database to another place",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code: 0 done, 1 refused, 2 wrong arguments."""
    # Threads of OpenMP that wait for one another leave the processor to whoever needs it: beside
    # other work a report is written in half the time. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] not in COMMANDS:
        parser().parse_args(given)  # prints the help, the version or the error, and exits
        return 2
    name, *rest = given
    command = COMMANDS[name]
    prog, words = (
        (f"{PROG} {name}", rest) if command.verb is None else (PROG, [command.verb, *rest])
    )
    exit_code: int = importlib.import_module(command.module).main(words, prog=prog)
    return exit_code


def parser() -> argparse.ArgumentParser:
    """The verbs alone: their arguments belong to the packages that they run."""
    whole = Parser(
        prog=PROG,
        description="Grounded chest X-ray reports. Research use only, not for clinical use.",
        examples=[
            "index build --source jsonl --data-dir studies.jsonl --out data/mine",
            "report data/index pa.png lateral.png",
            "VERB --help",
        ],
    )
    whole.add_argument(
        "--version", action="version", version=f"{PROG} {__version__}", help="print the version"
    )
    verbs = whole.add_subparsers(required=True, metavar="VERB")
    for name, command in COMMANDS.items():
        verbs.add_parser(name, help=command.about, add_help=False)
    return whole


def command() -> None:
    """The console script; exits."""
    run(main)


if __name__ == "__main__":
    command()
