"""One evaluation of a language model, as the command line asks for it."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from db.errors import UserError
from db.files import write_text
from evaluation.classification.plots import write_plots
from evaluation.grounding.citations import write_sentences
from evaluation.grounding.judge import agreement_table, read_pairs, write_pairs
from evaluation.html_report import write_report
from evaluation.log import append_run
from evaluation.metrics.bootstrap import check_resamples
from evaluation.outputs.collect import collect_outputs, write_prompts
from evaluation.outputs.names import WITH_RETRIEVAL
from evaluation.outputs.rows import Outputs
from evaluation.provenance import run_record
from evaluation.reports.references import References
from evaluation.reports.systems import rows_of
from evaluation.scores import Scores, score
from generator.assessment.calibration import Calibration
from generator.vision_language import NO_MODEL
from indexer.index import Index
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source

SENTENCES = "sentences.jsonl"
REPORT = "report.html"


def evaluate_model(arguments: argparse.Namespace, *, notes: Sequence[str] = ()) -> int:
    """Print the figures of a model, and write them with ``--out``.

    Raises UserError for what cannot work, before any long work.
    """
    if arguments.write_prompts is not None:
        return write_prompts(arguments)
    check_resamples(arguments.resamples)
    outputs, left_out = collect_outputs(arguments)
    index = Index.open(arguments.index)
    source = open_source(arguments.source, options_of(arguments))
    references = References.read(source, index, outputs)
    scores = score(
        outputs,
        references,
        index.manifest,
        calibration=Calibration.find(index, outputs.about.adapter or outputs.about.model),
        clinical_bert=arguments.clinical_bert,
        metrics_python=arguments.metrics_python,
        resamples=arguments.resamples,
    )
    if arguments.judge is not None:
        scores = judged(arguments.judge, scores, outputs, references, arguments.resamples)
    ran_here = arguments.model not in (None, NO_MODEL) and arguments.answers is None
    run = run_record(arguments.command, gpu=ran_here and arguments.device != "cpu")
    document = json.dumps({"run": run, **scores.document()}, indent=2)
    if arguments.out is not None:
        write_text(arguments.out / "evaluation.json", document + "\n")
        write_text(arguments.out / "evaluation.txt", scores.text() + "\n")
        write_sentences(scores.checked, arguments.out / SENTENCES)
        plots: list[Path] = []
        if scores.sources:
            labels = [study.labels for study in references.studies]
            plots = write_plots(scores.sources, labels, arguments.out)
        told = [] if left_out is None else [f"{outputs.about.split}: {left_out.summary()}"]
        path = arguments.out / REPORT
        write_report(path, scores, outputs, references, source, plots, [*notes, *told])
    if outputs.about.split == "test":
        append_run(
            arguments.test_log,
            {"machine": run["machine"], **scores.log_entry()},
            command=arguments.command,
            again=arguments.again,
        )
    sys.stdout.write((document if arguments.json else scores.text()) + "\n")
    return 0


def judged(
    path: Path, scores: Scores, outputs: Outputs, references: References, resamples: int
) -> Scores:
    """Add the table of a judged file; a file that does not exist is written, to be judged."""
    checked = scores.checked.get(WITH_RETRIEVAL)
    if checked is None:
        raise UserError(
            f"pairs to judge come from the condition '{WITH_RETRIEVAL}': write its reports first"
        )
    if not path.exists():
        rows = rows_of(outputs, WITH_RETRIEVAL, references.studies)
        count = write_pairs(checked, rows, references, path)
        note = f"{count} pairs to judge are in {path}: fill in its last column, and run again"
        return replace(scores, notes=(*scores.notes, note))
    patients = {study.study_id: study.patient_id for study in references.studies}
    table = agreement_table(read_pairs(path), checked, patients=patients, resamples=resamples)
    return replace(scores, tables=(*scores.tables, table))
