"""python -m generator: from the films of one study to a grounded report.

python -m generator report INDEX IMAGE [IMAGE ...] -k 10 --json

``--json`` prints one object:
  notice, generator, index {path, source, fingerprint}
  findings, impression: lists of {text, labels, citations: [{number, source, study_id, score,
    quote}]}
  cases: the cited cases, {number, source, study_id, score, findings, impression}
  left_out: {source, study_id, score, reason}; notes; label_scores (or null)
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from db.cases import Section
from db.errors import UserError
from generator.extractive import write_report
from generator.grounded import GroundedReport
from retriever.retrieval import Retrieval
from retriever.search import Retriever

OpenRetriever = Callable[[Path], Retriever]


def main(
    argv: Sequence[str] | None = None, *, open_retriever: OpenRetriever = Retriever.open
) -> int:
    arguments = _parser().parse_args(argv)
    try:
        exit_code: int = arguments.run(arguments, open_retriever)
        return exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _report(arguments: argparse.Namespace, open_retriever: OpenRetriever) -> int:
    retrieval = open_retriever(arguments.index).search(
        arguments.images,
        k=arguments.k,
        exclude_patient_ids=arguments.exclude_patient,
        exclude_study_ids=arguments.exclude_study,
    )
    report = write_report(retrieval)
    if arguments.json:
        print(json.dumps(_document(arguments.index, retrieval, report), indent=2))
    else:
        print(_page(retrieval, report))
    return 0


def _document(index: Path, retrieval: Retrieval, report: GroundedReport) -> dict[str, Any]:
    def statements(section: Section) -> list[dict[str, Any]]:
        return [
            {
                "text": statement.text,
                "labels": dict(statement.labels),
                "citations": [
                    {
                        "number": citation.number,
                        "source": citation.source,
                        "study_id": citation.study_id,
                        "score": citation.score,
                        "quote": citation.quote,
                    }
                    for citation in statement.citations
                ],
            }
            for statement in report.section(section)
        ]

    return {
        "notice": report.notice,
        "generator": report.generator,
        "index": {
            "path": str(index),
            "source": retrieval.source,
            "fingerprint": report.index_fingerprint,
        },
        "findings": statements("findings"),
        "impression": statements("impression"),
        "cases": [
            {
                "number": hit.rank,
                "source": hit.case.source,
                "study_id": hit.case.study_id,
                "score": hit.score,
                "findings": hit.case.findings,
                "impression": hit.case.impression,
            }
            for hit in report.cited_hits
        ],
        "left_out": [
            {
                "source": left.source,
                "study_id": left.study_id,
                "score": left.score,
                "reason": left.reason,
            }
            for left in retrieval.left_out
        ],
        "notes": list(report.notes),
        "label_scores": None if report.label_scores is None else dict(report.label_scores),
    }


def _page(retrieval: Retrieval, report: GroundedReport) -> str:
    quotes: dict[int, list[str]] = {hit.rank: [] for hit in report.cited_hits}
    for statement in report.statements:
        for citation in statement.citations:
            if citation.quote not in quotes[citation.number]:
                quotes[citation.number].append(citation.quote)
    lines = [report.marked_text, "", "CITED CASES"]
    for hit in report.cited_hits:
        lines.append(f"  [{hit.rank}] {hit.case.source} {hit.case.study_id}, score {hit.score:.3f}")
        lines += [f'      "{" ".join(quote.split())}"' for quote in quotes[hit.rank]]
    lines += [f"note: {note}" for note in report.notes]
    lines += [
        f"left out: {left.source} {left.study_id} (score {left.score:.3f}), {left.reason}"
        for left in retrieval.left_out
    ]
    return "\n".join([*lines, "", report.notice])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m generator", description="Grounded text from an X-ray and its hits."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("report", help="findings and impression, every sentence cited")
    _add_study(verb)
    verb.set_defaults(run=_report)
    return parser


def _add_study(verb: argparse.ArgumentParser) -> None:
    """What every task takes: the index, the views of one study, and whom to leave out."""
    verb.add_argument("index", type=Path, metavar="INDEX")
    verb.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="views of one study")
    verb.add_argument("-k", type=int, default=10, help="number of hits (default: %(default)s)")
    verb.add_argument("--exclude-patient", action="append", default=[], metavar="ID")
    verb.add_argument("--exclude-study", action="append", default=[], metavar="ID")
    verb.add_argument("--json", action="store_true", help="one JSON object (see the module)")


if __name__ == "__main__":
    sys.exit(main())
