"""One evaluation or calibration of a language model, as the command line asks for it."""

import argparse
import json
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from shutil import copyfile

from db.errors import UserError
from db.files import write_text
from db.labels import positives
from evaluation.classification.calibration import MIN_STUDIES, check_enough, fit
from evaluation.classification.plots import write_plots
from evaluation.classification.scores import ANSWERED, opinions
from evaluation.grounding.citations import write_sentences
from evaluation.grounding.judge import agreement_table, read_pairs, write_pairs
from evaluation.log import append_run
from evaluation.metrics.bootstrap import check_resamples
from evaluation.outputs.collect import collect_outputs, write_prompts
from evaluation.outputs.names import HEAD, VOTE, WITH_RETRIEVAL
from evaluation.outputs.rows import Outputs, OutputsHeader
from evaluation.provenance import run_record
from evaluation.reports.references import References
from evaluation.reports.systems import rows_of
from evaluation.scores import Scores, score
from generator.calibration import CALIBRATION, Calibration
from indexer.encoder.weight_files import local_folder
from indexer.index import Index
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source
from indexer.sources.records import StudyRecord

SENTENCES = "sentences.jsonl"


def evaluate_model(arguments: argparse.Namespace) -> int:
    """Print the figures of a model, and write them with ``--out``.

    Raises UserError for what cannot work, before any long work.
    """
    if arguments.write_prompts is not None:
        return write_prompts(arguments)
    check_resamples(arguments.resamples)
    outputs = collect_outputs(arguments)
    index = Index.open(arguments.index)
    references = References.read(
        open_source(arguments.source, options_of(arguments)), index, outputs
    )
    scores = score(
        outputs,
        references,
        index.manifest,
        calibration=calibration_of(outputs.about),
        clinical_bert=arguments.clinical_bert,
        resamples=arguments.resamples,
    )
    if arguments.judge is not None:
        scores = judged(arguments.judge, scores, outputs, references, arguments.resamples)
    ran_here = arguments.model is not None and arguments.answers is None
    run = run_record(arguments.command, gpu=ran_here and arguments.device != "cpu")
    document = json.dumps({"run": run, **scores.document()}, indent=2)
    if arguments.out is not None:
        write_text(arguments.out / "evaluation.json", document + "\n")
        write_text(arguments.out / "evaluation.txt", scores.text() + "\n")
        write_sentences(scores.checked, arguments.out / SENTENCES)
        if scores.sources:
            labels = [study.labels for study in references.studies]
            write_plots(scores.sources, labels, arguments.out)
    if outputs.about.split == "test":
        append_run(
            arguments.test_log,
            {"machine": run["machine"], **scores.log_entry()},
            command=arguments.command,
            again=arguments.again,
        )
    sys.stdout.write((document if arguments.json else scores.text()) + "\n")
    return 0


def calibrate_model(arguments: argparse.Namespace) -> int:
    """Fit on the answers of a split, and write the result beside the weights that gave them.

    The former file is kept, and so are those before it. Raises UserError, for too few studies
    before the model is asked.
    """
    if arguments.write_prompts is not None:
        return write_prompts(arguments)
    _check_enough(arguments)
    outputs = collect_outputs(arguments)
    name = outputs.about.adapter or outputs.about.model
    folder = local_folder(name)
    if folder is None:
        raise UserError(f"{name} is no folder here, so there is no place for {CALIBRATION}")
    references = References.read(
        open_source(arguments.source, options_of(arguments)), Index.open(arguments.index), outputs
    )
    sources = opinions(outputs, references, Calibration())
    if not sources:
        raise UserError(f"{outputs.path} has no answers of yes and no: write them with --model")
    about = outputs.about
    truth = positives([study.labels for study in references.studies])
    check_enough(len(references.studies), truth)
    calibration = fit(
        language_model=sources[ANSWERED],
        knn=sources[VOTE],
        label_head=sources.get(HEAD),
        truth=truth,
        name=f"{len(references.studies)} studies, {about.split} of {about.source}, "
        f"index {about.index_fingerprint[:12]}",
    )
    path = folder / CALIBRATION
    if path.is_file():
        kept = _free_name(path)
        copyfile(path, kept)
        sys.stdout.write(f"{kept}: the former file\n")
    calibration.write(path)
    sys.stdout.write(
        f"{path}: language model {calibration.language_model:.2f}, kNN {calibration.knn:.2f}, "
        f"label head {calibration.label_head:.2f}, fitted on {calibration.fitted_on}\n"
    )
    return 0


def _check_enough(arguments: argparse.Namespace) -> None:
    """Raises UserError where a model would be asked about too few studies."""
    if arguments.outputs is not None:
        return
    source = open_source(arguments.source, options_of(arguments))
    usable = (one for one in source.records() if isinstance(one, StudyRecord) and one.images)
    limit = MIN_STUDIES if arguments.limit is None else min(arguments.limit, MIN_STUDIES)
    check_enough(sum(1 for _ in islice(usable, limit)))


def _free_name(path: Path) -> Path:
    """Where the file in use is kept: ``.before``, or the next number where one is kept already."""
    kept, number = path.with_name(f"{path.name}.before"), 2
    while kept.exists():
        kept, number = path.with_name(f"{path.name}.before-{number}"), number + 1
    return kept


def calibration_of(about: OutputsHeader) -> Calibration:
    """The calibration in the folder of the adapter, or of the model."""
    return Calibration.of(about.adapter or about.model)


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
