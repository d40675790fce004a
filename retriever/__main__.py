"""python -m retriever: find the prior cases most like a study.

python -m retriever search INDEX IMAGE [IMAGE ...] -k 5 --json
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from db.errors import UserError
from retriever.retrieval import Retrieval
from retriever.search import Retriever


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        exit_code: int = arguments.run(arguments)
        return exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _search(arguments: argparse.Namespace) -> int:
    retrieval = Retriever.open(arguments.index).search(
        arguments.images,
        k=arguments.k,
        exclude_patient_ids=arguments.exclude_patient,
        exclude_study_ids=arguments.exclude_study,
        exclude_near_copies=not arguments.keep_near_copies,
        distinct_reports=arguments.distinct_reports,
        labels=arguments.label,
        min_score=arguments.min_score,
    )
    print(json.dumps(asdict(retrieval), indent=2) if arguments.json else _lines(retrieval))
    return 0


def _lines(retrieval: Retrieval) -> str:
    lines = [f"note: {note}" for note in retrieval.notes]
    for hit in retrieval.hits:
        text = " ".join(hit.case.report.split())
        lines.append(f"[{hit.rank}] {hit.score:.3f} {hit.case.source} {hit.case.study_id}: {text}")
    lines += [
        f"left out: {left.source} {left.study_id} ({left.score:.3f}), {left.reason}"
        for left in retrieval.left_out
    ]
    return "\n".join(lines or ["no case passes these rules"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m retriever", description="Similar prior cases.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("search", help="the cases most like one study")
    verb.add_argument("index", type=Path, metavar="INDEX")
    verb.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="views of one study")
    verb.add_argument("-k", type=int, default=5, help="number of hits (default: %(default)s)")
    verb.add_argument("--exclude-patient", action="append", default=[], metavar="ID")
    verb.add_argument("--exclude-study", action="append", default=[], metavar="ID")
    verb.add_argument("--keep-near-copies", action="store_true", help="also list the film itself")
    verb.add_argument("--distinct-reports", action="store_true", help="no report text twice")
    verb.add_argument("--label", action="append", default=[], help="only cases that name it")
    verb.add_argument("--min-score", type=float, metavar="COSINE")
    verb.add_argument("--json", action="store_true")
    verb.set_defaults(run=_search)
    return parser


if __name__ == "__main__":
    sys.exit(main())
