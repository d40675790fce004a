"""Calibrate the assessment: for an index, or for a language model on it.

Without a model the votes of the cases and the encoder's label head are fitted, and the result is
written into the index directory, where every task reads it. With a model its answers of yes and no
are fitted as well, and the result is written beside its weights.
"""

import argparse
import sys
from itertools import islice
from pathlib import Path
from shutil import copyfile

import numpy as np

from db.errors import UserError
from db.labels import OBSERVATIONS, positives
from evaluation.classification.calibration import (
    MIN_STUDIES,
    SPECIFICITY,
    check_enough,
    fit,
    operating_figures,
)
from evaluation.classification.scores import ANSWERED, combined, opinions
from evaluation.outputs.collect import collect_outputs, open_retriever, write_prompts
from evaluation.outputs.names import HEAD, VOTE
from evaluation.reports.references import References
from evaluation.retrieval.studies import embed, read_studies
from generator.assessment.calibration import CALIBRATION, Calibration
from generator.engines.address import is_address
from generator.vision_language import NO_MODEL
from indexer.cli.progress import progress_bar
from indexer.encoder.weight_files import local_folder
from indexer.index import Index
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source
from indexer.sources.records import StudyRecord
from indexer.versions import index_root


def calibrate(arguments: argparse.Namespace) -> int:
    """Fit on a split and write the result; the former file is kept, and so are those before it.

    Raises UserError, for too few studies before any long work.
    """
    if arguments.model == NO_MODEL:
        arguments.model = None
    if arguments.model is None and arguments.outputs is None:
        return _calibrate_index(arguments)
    if arguments.write_prompts is not None:
        return write_prompts(arguments)
    return _calibrate_model(arguments)


def _calibrate_index(arguments: argparse.Namespace) -> int:
    _check_enough(arguments)
    source = open_source(arguments.source, options_of(arguments))
    retriever = open_retriever(arguments)
    studies, _ = read_studies(
        source,
        retriever,
        progress=lambda records: progress_bar(list(islice(records, arguments.limit)), unit="study"),
    )
    truth = positives([study.labels for study in studies])
    check_enough(len(studies), truth)
    queries = embed(retriever.encoder, studies, "both")
    found = [(retriever.vote(query), query.label_scores) for query in queries]
    knn = np.array([[vote[name].probability for name in OBSERVATIONS] for vote, _ in found])
    scores = [one for _, one in found]
    head = None
    if all(one is not None for one in scores):
        head = np.array([[(one or {})[name] for name in OBSERVATIONS] for one in scores])
    manifest = retriever.index.manifest
    calibration = fit(
        knn=knn,
        label_head=head,
        truth=truth,
        name=f"{len(studies)} studies, {source.split} of {source.name}, "
        f"index {manifest.fingerprint[:12]}",
        encoder_sha256=manifest.encoder.weights_sha256,
    )
    _write(calibration, index_root(retriever.index.path), knn, head, truth)
    return 0


def _calibrate_model(arguments: argparse.Namespace) -> int:
    _check_enough(arguments)
    if arguments.model is not None and is_address(arguments.model):
        raise UserError(
            f"a model on a server has no folder for {CALIBRATION}: calibrate the index, without "
            "--model"
        )
    outputs, _ = collect_outputs(arguments)
    name = outputs.about.adapter or outputs.about.model
    folder = local_folder(name)
    if folder is None:
        raise UserError(f"{name} is no folder here, so there is no place for {CALIBRATION}")
    references = References.read(
        open_source(arguments.source, options_of(arguments)), Index.open(arguments.index), outputs
    )
    sources = opinions(outputs, references, Calibration())
    if ANSWERED not in sources:
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
        encoder_sha256=about.encoder_sha256,
    )
    _write(calibration, folder, sources[VOTE], sources.get(HEAD), truth, language=sources[ANSWERED])
    return 0


def _write(
    calibration: Calibration,
    folder: Path,
    knn: np.ndarray,
    head: np.ndarray | None,
    truth: np.ndarray,
    *,
    language: np.ndarray | None = None,
) -> None:
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
    fitted = combined(calibration, knn, head, language)
    for name in SPECIFICITY:
        figures = operating_figures(fitted, truth, calibration.operating_points[name])
        sys.stdout.write(f"  {name}: {figures}\n")


def _check_enough(arguments: argparse.Namespace) -> None:
    """Raises UserError where so few studies would be read that no fit is possible."""
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
