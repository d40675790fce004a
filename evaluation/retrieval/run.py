"""One evaluation of a search, as the command line asks for it."""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial

from db.files import write_text
from evaluation.log import append_run, require_first_run, retrieval_entry
from evaluation.metrics.bootstrap import check_resamples
from evaluation.provenance import provenance
from evaluation.retrieval.report import to_document, to_table, write_plots
from evaluation.retrieval.scores import evaluate
from evaluation.retrieval.shown_cases import shown_cases_table
from evaluation.retrieval.studies import embed, read_studies
from evaluation.retrieval.systems import compare
from evaluation.tables import to_text, without_nan
from indexer.cli.progress import progress_bar
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source
from indexer.sources.records import StudyRecord
from retriever.search import Retriever


def evaluate_retrieval(arguments: argparse.Namespace) -> int:
    """Print the figures, and write them with ``--out``. Raises UserError."""
    check_resamples(arguments.resamples)
    open_retriever = partial(arguments.open_retriever or Retriever.open, device=arguments.device)
    retriever: Retriever = open_retriever(arguments.index)
    baseline = arguments.baseline_index and open_retriever(arguments.baseline_index)
    manifest = retriever.index.manifest
    if arguments.split == "test":
        require_first_run(arguments.test_log, manifest.encoder.weights_sha256, arguments.again)
    studies, left_out = read_studies(
        open_source(arguments.source, options_of(arguments)), retriever, progress=_progress
    )
    sys.stderr.write(
        f"{left_out.summary()}\n{len(studies)} studies read, embedding and searching\n"
    )
    systems = compare(retriever, studies, baseline=baseline)
    evaluation = evaluate(studies, systems, resamples=arguments.resamples)
    queries = embed(retriever.encoder, studies, "both")
    shown = shown_cases_table(retriever, studies, queries, resamples=arguments.resamples)
    origin = provenance(
        manifest,
        split=arguments.split,
        without=len(left_out.skipped),
        resamples=arguments.resamples,
    )
    document = json.dumps(
        {**to_document(evaluation, origin), "tables": [without_nan(asdict(shown))]}, indent=2
    )
    table = f"{to_table(evaluation, origin)}\n\n{to_text(shown)}"
    if arguments.out is not None:
        write_text(arguments.out / "evaluation.json", document + "\n")
        write_text(arguments.out / "evaluation.txt", table + "\n")
        write_plots(evaluation, arguments.out)
    if arguments.split == "test":
        append_run(
            arguments.test_log,
            retrieval_entry(evaluation, origin, [shown]),
            command=arguments.command,
            again=arguments.again,
        )
    sys.stdout.write((document if arguments.json else table) + "\n")
    return 0


def _progress(records: Iterable[StudyRecord]) -> Iterable[StudyRecord]:
    return progress_bar(list(records), unit="study")
