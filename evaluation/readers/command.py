"""The verbs ``forms`` and ``ratings`` of ``python -m evaluation``."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import UserError
from db.files import write_text
from evaluation.command import add_stored_outputs
from evaluation.metrics.bootstrap import RESAMPLES, check_resamples
from indexer.sources.arguments import options_of

if TYPE_CHECKING:
    from evaluation.tables import Table

_SPLIT = "--index data/index --data-dir OPENI --split-file r2gen_split.json --split val"
KINDS = ("language models", "radiologists", "other people")


def add_forms_to(verbs: Any) -> None:
    """Register ``forms``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "forms",
        help="draw sentences and reports for readers, as blind forms",
        examples=[f"--outputs runs/val/outputs.jsonl {_SPLIT} --out runs/forms"],
    )
    add_stored_outputs(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the forms")
    parser.set_defaults(run=_run_forms)


def add_ratings_to(verbs: Any) -> None:
    """Register ``ratings``, which needs neither index nor data."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "ratings",
        help="what readers wrote into the forms, and how far they agree",
        examples=[
            "runs/forms --reader A runs/read_by_a --reader B runs/read_by_b "
            "--readers-are radiologists",
            "ratings-anna.jsonl ratings-ben.jsonl --readers-are radiologists",
        ],
    )
    parser.add_argument(
        "ratings",
        type=Path,
        nargs="+",
        metavar="DIR|FILE",
        help="the folder that 'evaluate forms' wrote, or files that readers saved in the page's "
        "blinded review",
    )
    parser.add_argument(
        "--reader",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "FOLDER"),
        help="a folder of filled copies of the forms; once for each reader, with DIR alone",
    )
    parser.add_argument(
        "--readers-are", choices=KINDS, required=True, help="what stands beside every figure"
    )
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="of the intervals (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for JSON and tables")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=_run_ratings)


def _run_forms(arguments: argparse.Namespace) -> int:
    from evaluation.grounding.citations import check_reports
    from evaluation.outputs.names import EXTRACTIVE, NEAREST, RANDOM, SERVED, WITH_RETRIEVAL
    from evaluation.outputs.rows import Outputs
    from evaluation.readers.forms import AS_SERVED, AS_WRITTEN, draw_forms, write_forms
    from evaluation.reports.references import References
    from evaluation.reports.systems import rows_of, served
    from generator.assessment.calibration import Calibration
    from indexer.index import Index
    from indexer.reports.labeller import LABELLER_VERSION
    from indexer.sources.catalogue import open_source

    outputs = Outputs.read(arguments.outputs)
    index = Index.open(arguments.index)
    source = open_source(arguments.source, options_of(arguments))
    references = References.read(source, index, outputs)
    about = outputs.about
    found = {
        name: rows_of(outputs, name, references.studies)
        for name in (WITH_RETRIEVAL, EXTRACTIVE, NEAREST, RANDOM)
    }
    written = found.pop(WITH_RETRIEVAL)
    reports = {name: rows for name, rows in found.items() if rows}
    if written:
        calibration = Calibration.find(index, about.adapter or about.model)
        reports = {SERVED: served(written, outputs, references, calibration), **reports}
    cited = {AS_WRITTEN: written or reports.get(EXTRACTIVE, [])}
    if written:
        cited[AS_SERVED] = reports[SERVED]
    forms = draw_forms(
        references,
        {how: (rows, check_reports(rows, outputs, references)) for how, rows in cited.items()},
        reports,
        about={
            "source": about.source,
            "split": about.split,
            "index_fingerprint": about.index_fingerprint,
            "weights_sha256": about.weights_sha256,
            "labeller": LABELLER_VERSION,
            "pairs_of": WITH_RETRIEVAL if written else EXTRACTIVE,
            "systems": list(reports),
        },
    )
    write_forms(forms, arguments.out)
    sys.stdout.write(
        f"{len(forms.pairs)} pairs and {len(forms.reports)} reports are in {arguments.out}: give "
        "each reader a copy without key.json\n"
    )
    return 0


def _run_ratings(arguments: argparse.Namespace) -> int:
    from evaluation.readers.forms import read_key
    from evaluation.readers.grades import grade_tables
    from evaluation.readers.ratings import rating_tables

    check_resamples(arguments.resamples)
    folder, *more = arguments.ratings
    if not folder.is_dir():
        if arguments.reader:
            raise UserError("--reader belongs to a folder of forms: these files name their reader")
        tables = grade_tables(
            arguments.ratings, kind=arguments.readers_are, resamples=arguments.resamples
        )
        return _print(arguments, tables, {"files": [str(one) for one in arguments.ratings]})
    if more or not arguments.reader:
        raise UserError("a folder of forms is read alone, with a --reader for each reader")
    readers = {name: Path(folder) for name, folder in arguments.reader}
    if len(readers) < len(arguments.reader):
        raise UserError("two readers have one name: give each --reader a name of its own")
    tables = rating_tables(
        folder, readers, kind=arguments.readers_are, resamples=arguments.resamples
    )
    return _print(arguments, tables, {"forms": read_key(folder)["about"], "readers": list(readers)})


def _print(arguments: argparse.Namespace, tables: Sequence["Table"], about: dict[str, Any]) -> int:
    """Print the tables, and write them where ``--out`` says."""
    from evaluation.tables import to_text, without_nan

    text = "\n\n".join(map(to_text, tables))
    about["readers are"] = arguments.readers_are
    figures = {"about": about, "tables": without_nan([asdict(one) for one in tables])}
    document = json.dumps(figures, indent=2)
    if arguments.out is not None:
        write_text(arguments.out / "ratings.json", document + "\n")
        write_text(arguments.out / "ratings.txt", text + "\n")
    sys.stdout.write((document if arguments.json else text) + "\n")
    return 0
