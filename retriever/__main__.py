"""python -m retriever: find the prior cases most like a study, and measure how well that works.

python -m retriever search INDEX IMAGE [IMAGE ...] -k 5 --json
python -m retriever search INDEX --text "small left pleural effusion"
python -m retriever evaluate INDEX --data-dir DIR --split-file FILE --split val --out DIR
"""

import argparse
import datetime
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from db.errors import UserError
from evaluation.metrics.bootstrap import check_resamples
from evaluation.retrieval.report import provenance, to_document, to_table, write_plots
from evaluation.retrieval.run import RESAMPLES, evaluate
from evaluation.retrieval.studies import read_studies
from evaluation.retrieval.systems import compare
from evaluation.test_log import append_run, require_first_run
from indexer.cli.arguments import add_device
from indexer.cli.parser import Parser, run
from indexer.cli.progress import progress_bar
from indexer.sources.arguments import add_split_arguments, options_of
from indexer.sources.catalogue import open_source
from indexer.sources.records import StudyRecord
from retriever.arguments import add_search_arguments, search_options
from retriever.knn_votes import vote
from retriever.results import Retrieval
from retriever.search import Retriever

TEST_LOG = Path(__file__).resolve().parent.parent / "results" / "test_log.jsonl"


OpenRetriever = Callable[..., Retriever]


def main(
    argv: Sequence[str] | None = None,
    *,
    open_retriever: OpenRetriever = Retriever.open,
    prog: str = "python -m retriever",
) -> int:
    arguments = parser(prog).parse_args(argv)
    arguments.open_retriever = open_retriever
    if arguments.device != "cpu":
        arguments.open_retriever = partial(open_retriever, device=arguments.device)
    arguments.command = shlex.join(["python", "-m", "retriever", *(argv or sys.argv[1:])])
    try:
        exit_code: int = arguments.run(arguments)
        return exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _search(arguments: argparse.Namespace) -> int:
    retrieval = arguments.open_retriever(arguments.index).search(
        arguments.images, search_options(arguments), text=arguments.text
    )
    print(json.dumps(_document(retrieval), indent=2) if arguments.json else _lines(retrieval))
    return 0


def _document(retrieval: Retrieval) -> dict[str, object]:
    votes = vote(retrieval.hits) if retrieval.hits else {}
    return {**asdict(retrieval), "votes": {name: asdict(one) for name, one in votes.items()}}


def _lines(retrieval: Retrieval) -> str:
    lines = [f"note: {note}" for note in retrieval.notes]
    if retrieval.ood is not None and not retrieval.ood.in_distribution:
        lines.append(f"warning: {retrieval.ood.reason}")
    for hit in retrieval.hits:
        text = " ".join(hit.case.report.split())
        lines.append(f"[{hit.rank}] {hit.score:.3f} {hit.case.source} {hit.case.study_id}: {text}")
    lines += [
        f"left out: {left.source} {left.study_id} ({left.score:.3f}), {left.reason}"
        for left in retrieval.left_out
    ]
    return "\n".join(lines if retrieval.hits else [*lines, "no case passes these rules"])


def _evaluate(arguments: argparse.Namespace) -> int:
    check_resamples(arguments.resamples)
    retriever: Retriever = arguments.open_retriever(arguments.index)
    baseline = arguments.baseline_index and arguments.open_retriever(arguments.baseline_index)
    manifest = retriever.index.manifest
    if arguments.split == "test":
        require_first_run(arguments.test_log, manifest.encoder.weights_sha256, arguments.again)
    studies, without = read_studies(
        open_source(arguments.source, options_of(arguments)), retriever.index, progress=_progress
    )
    print(f"{len(studies)} studies read, embedding and searching", file=sys.stderr)
    systems = compare(retriever, studies, baseline=baseline)
    evaluation = evaluate(studies, systems, resamples=arguments.resamples)
    origin = provenance(
        manifest,
        split=arguments.split,
        without=without,
        resamples=arguments.resamples,
    )
    document = json.dumps(to_document(evaluation, origin), indent=2)
    table = to_table(evaluation, origin)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "evaluation.json").write_text(document + "\n", encoding="utf-8")
        (arguments.out / "evaluation.txt").write_text(table + "\n", encoding="utf-8")
        write_plots(evaluation, arguments.out)
    if arguments.split == "test":
        append_run(
            arguments.test_log,
            evaluation,
            origin,
            command=arguments.command,
            again=arguments.again,
            now=datetime.datetime.now(datetime.UTC),
        )
    print(document if arguments.json else table)
    return 0


def _progress(records: Iterable[StudyRecord]) -> Iterable[StudyRecord]:
    return progress_bar(list(records), unit="study")


def parser(prog: str = "python -m retriever") -> argparse.ArgumentParser:
    """Every verb with its options."""
    whole = Parser(
        prog=prog, description="Similar prior cases.", examples=["search data/index pa.png"]
    )
    verbs = whole.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser(
        "search",
        help="the cases most like one study, or words, or both",
        examples=[
            "data/index pa.png lateral.png -k 5 --json",
            'data/index --text "small left pleural effusion"',
        ],
    )
    verb.add_argument("index", type=Path, metavar="INDEX", help="an index directory")
    verb.add_argument("images", type=Path, nargs="*", metavar="IMAGE", help="views of one study")
    verb.add_argument("--text", help="words as a report would put them; with or without images")
    add_search_arguments(verb)
    add_device(verb)
    verb.add_argument("--json", action="store_true", help="hits, votes and scores as JSON")
    verb.set_defaults(run=_search)

    verb = verbs.add_parser(
        "evaluate",
        help="figures on a split that is not indexed",
        examples=["data/index --data-dir DIR --split-file FILE --split val --out runs/retrieval"],
    )
    verb.add_argument("index", type=Path, metavar="INDEX", help="an index directory")
    add_split_arguments(verb)
    verb.add_argument(
        "--split", choices=("val", "test"), required=True, help="whose studies are searched with"
    )
    add_device(verb)
    verb.add_argument(
        "--baseline-index", type=Path, metavar="INDEX2", help="another, to be compared with"
    )
    verb.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="of the intervals (default: %(default)s)"
    )
    verb.add_argument("--out", type=Path, metavar="DIR", help="for JSON, table and PNG plots")
    verb.add_argument(
        "--test-log",
        type=Path,
        default=TEST_LOG,
        metavar="FILE",
        help="where runs on test are written down (default: results/test_log.jsonl)",
    )
    verb.add_argument("--again", metavar="REASON", help="why the same weights meet test again")
    verb.add_argument("--json", action="store_true", help="print the figures as JSON")
    verb.set_defaults(run=_evaluate)
    return whole


if __name__ == "__main__":
    run(main)
