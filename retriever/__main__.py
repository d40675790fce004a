"""python -m retriever: find the prior cases most like a study.

python -m retriever search INDEX IMAGE [IMAGE ...] -k 5 --json
python -m retriever search INDEX --text "small left pleural effusion"
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from db.errors import UserError
from indexer.cli.arguments import add_device
from indexer.cli.options import location
from indexer.cli.parser import Parser, moved, run
from retriever.arguments import add_search_arguments, search_options
from retriever.knn_votes import vote
from retriever.results import Hit, Retrieval
from retriever.search import Retriever

OpenRetriever = Callable[..., Retriever]


def main(
    argv: Sequence[str] | None = None,
    *,
    open_retriever: OpenRetriever = Retriever.open,
    prog: str = "python -m retriever",
) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    if (code := moved(given, "retriever", {"evaluate": "evaluation retrieval"})) is not None:
        return code
    arguments = parser(prog).parse_args(given)
    arguments.open_retriever = open_retriever
    if arguments.device != "cpu":
        arguments.open_retriever = partial(open_retriever, device=arguments.device)
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
    # class maps are for pictures: `generator report --maps`
    views = tuple(replace(view, class_maps=None) for view in retrieval.views)
    return {
        **asdict(replace(retrieval, views=views)),
        "votes": {name: asdict(one) for name, one in votes.items()},
    }


def _lines(retrieval: Retrieval) -> str:
    lines = [f"note: {note}" for note in retrieval.notes]
    if retrieval.ood is not None and not retrieval.ood.in_distribution:
        lines.append(f"warning: {retrieval.ood.reason}")
    for hit in retrieval.hits:
        text = " ".join(_marked(hit).split())
        lines.append(f"[{hit.rank}] {hit.score:.3f} {hit.case.source} {hit.case.study_id}: {text}")
    lines += [
        f"excluded: {one.source} {one.study_id} ({one.score:.3f}), {one.reason}"
        for one in retrieval.excluded_cases
    ]
    return "\n".join(lines if retrieval.hits else [*lines, "no case passes these rules"])


def _marked(hit: Hit) -> str:
    """The report, with the sentence that says what the text asks for between asterisks."""
    report, said = hit.case.report, hit.matched_sentence
    return report if said is None else report.replace(said, f"**{said}**", 1)


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
    verb.add_argument("index", type=location, metavar="INDEX", help="an index: directory or URL")
    verb.add_argument("images", type=Path, nargs="*", metavar="IMAGE", help="views of one study")
    verb.add_argument("--text", help="words as a report would put them; with or without images")
    add_search_arguments(verb)
    add_device(verb)
    verb.add_argument("--json", action="store_true", help="hits, votes and scores as JSON")
    verb.set_defaults(run=_search)

    return whole


if __name__ == "__main__":
    run(main)
