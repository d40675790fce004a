"""``verify``, ``info`` and ``export-vectors``: verbs that read an index."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict

from db.index.store import Case
from indexer.cli.output import Printed, info_lines, problem_lines
from indexer.cli.progress import progress_bar
from indexer.index import Index
from indexer.vectors.stored import StoredVectors
from indexer.verify import verify
from indexer.versions import Versions


def verify_index(arguments: argparse.Namespace) -> Printed:
    problems = verify(arguments.index, pixels=arguments.pixels, progress=_case_progress)
    if arguments.json:
        lines: Iterable[str] = [json.dumps([asdict(problem) for problem in problems], indent=2)]
    else:
        lines = problem_lines(problems, arguments.index)
    return Printed(lines, 1 if problems else 0)


def _case_progress(cases: Iterable[Case], total: int) -> Iterable[Case]:
    return progress_bar(cases, total=total, unit="case")


def show_index(arguments: argparse.Namespace) -> Printed:
    index = Index.open(arguments.index)
    if arguments.json:
        return Printed([json.dumps(asdict(index.manifest), indent=2)])
    kept = list(Versions(arguments.index).kept().values())
    return Printed(info_lines(index.manifest, arguments.index, kept))


def export_vectors(arguments: argparse.Namespace) -> Printed:
    index = Index.open(arguments.index)
    StoredVectors.write(arguments.out, index)
    return Printed([f"{index.manifest.studies} vectors and study ids written to {arguments.out}"])
