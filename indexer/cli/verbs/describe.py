"""``verify``, ``info`` and ``export-vectors``: verbs that read an index."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from db.engines.location import shown
from db.index.store import Case
from indexer.cli.output import Printed, info_lines, problem_lines
from indexer.cli.progress import progress_bar
from indexer.index import Index
from indexer.published.opening import read_manifests
from indexer.published.verify import verify_published
from indexer.vectors.stored import StoredVectors
from indexer.verify import verify
from indexer.versions import Versions


def verify_index(arguments: argparse.Namespace) -> Printed:
    if isinstance(arguments.index, Path):
        problems = verify(arguments.index, pixels=arguments.pixels, progress=_case_progress)
    else:
        problems = verify_published(
            arguments.index, pixels=arguments.pixels, progress=_case_progress
        )
    if arguments.json:
        lines: Iterable[str] = [json.dumps([asdict(problem) for problem in problems], indent=2)]
    else:
        lines = problem_lines(problems, shown(arguments.index))
    return Printed(lines, 1 if problems else 0)


def _case_progress(cases: Iterable[Case], total: int) -> Iterable[Case]:
    return progress_bar(cases, total=total, unit="case")


def show_index(arguments: argparse.Namespace) -> Printed:
    if isinstance(arguments.index, Path):
        manifest = Index.open(arguments.index).manifest
        kept = list(Versions(arguments.index).kept().values())
    else:
        manifest, *_ = kept = read_manifests(arguments.index)
    if arguments.json:
        return Printed([json.dumps(asdict(manifest), indent=2)])
    return Printed(info_lines(manifest, shown(arguments.index), kept))


def export_vectors(arguments: argparse.Namespace) -> Printed:
    index = Index.open(arguments.index)
    StoredVectors.write(arguments.out, index)
    return Printed([f"{index.manifest.studies} vectors and study ids written to {arguments.out}"])
