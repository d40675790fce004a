"""python -m evaluation.grounding: the citation benchmark (docs/citation-benchmark.md).

python -m evaluation.grounding corpus --index INDEX --out corpus.jsonl
python -m evaluation.grounding systems --index INDEX --data-dir DIR --split-file FILE --split val \\
    --out FOLDER
python -m evaluation.grounding run FOLDER --index INDEX --data-dir DIR --split-file FILE --split val

``grounded-cxr benchmark`` is the same.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from db.errors import UserError
from evaluation.command import TEST_LOG, OpenRetriever
from evaluation.metrics.bootstrap import RESAMPLES
from indexer.cli.arguments import add_device
from indexer.cli.parser import Parser, run
from indexer.sources.arguments import add_split_arguments

_SPLIT = "--index data/index --data-dir OPENI --split-file r2gen_split.json --split val"


def parser(prog: str = "python -m evaluation.grounding") -> Parser:
    """Every verb with its options."""
    whole = Parser(
        prog=prog,
        description="Score the citations of any system's reports, and print a leaderboard.",
        examples=[f"run submissions {_SPLIT}", f"systems {_SPLIT} --out submissions"],
    )
    verbs: Any = whole.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser(
        "run",
        help="score every submission of a folder",
        examples=[f"submissions {_SPLIT} --out runs/benchmark"],
    )
    verb.add_argument("folder", type=Path, metavar="FOLDER", help="one JSON file per system")
    _add_task(verb)
    verb.add_argument("--out", type=Path, metavar="DIR", help="for the leaderboard, as JSON, text")
    verb.add_argument(
        "--common-studies",
        action="store_true",
        help="on the studies of val that all files report on, for a system too slow for all",
    )
    verb.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="of the intervals (default: %(default)s)"
    )
    verb.add_argument(
        "--test-log",
        type=Path,
        default=TEST_LOG,
        metavar="FILE",
        help="log of the runs on test (default: results/test_log.jsonl)",
    )
    verb.add_argument(
        "--again", metavar="REASON", help="why the same submission is scored on test again"
    )
    verb.add_argument("--json", action="store_true", help="print the figures as JSON")
    verb.set_defaults(run=_run)

    verb = verbs.add_parser(
        "systems",
        help="write the submissions of trivial systems and of stored outputs",
        examples=[f"{_SPLIT} --outputs runs/val/outputs.jsonl --out submissions"],
    )
    _add_task(verb)
    add_device(verb)
    verb.add_argument(
        "--outputs", type=Path, metavar="FILE", help="a language model's, of 'evaluate model'"
    )
    verb.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for the files")
    verb.set_defaults(run=_systems)

    verb = verbs.add_parser(
        "corpus",
        help="write the reports that may be cited, as JSON Lines",
        examples=["--index data/index --out corpus.jsonl"],
    )
    verb.add_argument("--index", type=Path, required=True, metavar="INDEX", help="the index")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="for the reports")
    verb.set_defaults(run=_corpus)
    return whole


def main(
    argv: Sequence[str] | None = None,
    *,
    open_retriever: OpenRetriever | None = None,
    prog: str = "python -m evaluation.grounding",
) -> int:
    """Run one verb and return its exit code. ``open_retriever`` replaces `Retriever.open`."""
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = parser(prog).parse_args(given)
    arguments.open_retriever = open_retriever
    arguments.command = f"{prog} {shlex.join(given)}"
    try:
        return int(arguments.run(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _add_task(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--index", type=Path, required=True, metavar="INDEX", help="the reports that may be cited"
    )
    add_split_arguments(verb)
    verb.add_argument("--split", choices=("val", "test"), required=True, help="the held-out part")


def _run(arguments: argparse.Namespace) -> int:
    from evaluation.grounding.benchmark import score_folder

    return score_folder(arguments)


def _systems(arguments: argparse.Namespace) -> int:
    from evaluation.grounding.benchmark import write_systems

    return write_systems(arguments)


def _corpus(arguments: argparse.Namespace) -> int:
    from evaluation.grounding.benchmark import write_corpus

    return write_corpus(arguments)


if __name__ == "__main__":
    run(main)
