"""One evaluation on images with labels and no report, as the command line asks for it."""

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial
from typing import Any

from db.errors import MismatchError, UserError
from db.files import write_text
from evaluation.classification.labelled_images import auc_table, score_images
from evaluation.classification.retrieved_images import called_table, retrieve_images
from evaluation.log import append_run, require_first_run
from evaluation.metrics.bootstrap import check_resamples
from evaluation.provenance import run_record
from evaluation.tables import Table, to_text, without_nan
from generator.assessment.calibration import Calibration
from indexer.encoder.load import load_encoder
from indexer.sources.nih_folders import read_nih_folders
from retriever.search import Retriever

COLLECTION = "chestxray14"


def evaluate_labels(arguments: argparse.Namespace) -> int:
    """Print the figures, and write them with ``--out``. Raises UserError."""
    check_resamples(arguments.resamples)
    encoders = {
        name: load_encoder(str(name), device=arguments.device)
        for name in (arguments.encoder, arguments.baseline)
        if name is not None
    }
    ours = encoders[arguments.encoder].spec.weights_sha256
    if arguments.split == "test":
        require_first_run(arguments.test_log, ours, arguments.again, collection=COLLECTION)
    retriever = None if arguments.index is None else _open(arguments, ours)
    images = [i for i in read_nih_folders(arguments.nih_dir) if i.part == arguments.split]
    if not images:
        raise UserError(f"the folders hold no image of a {arguments.split} patient")
    scored = [score_images(images, encoder, name=str(n)) for n, encoder in encoders.items()]
    about: dict[str, Any] = {
        "collection": COLLECTION,
        "split": arguments.split,
        "images": len(images),
        "patients": len({image.patient_id for image in images}),
        "encoders": {one.name: one.weights_sha256 for one in scored},
        "resamples": arguments.resamples,
    }
    called: Table | None = None
    if retriever is not None:
        found = retrieve_images(images, retriever, Calibration.find(retriever.index))
        scored.append(found.votes)
        called = called_table(images, found.called, resamples=arguments.resamples)
        manifest = retriever.index.manifest
        about["index"] = {"source": manifest.source, "fingerprint": manifest.fingerprint}
        about["index"]["labeller"] = manifest.labeller_version
    table = auc_table(images, scored, resamples=arguments.resamples)
    figures = {"figures": _cells(table)}
    if called is not None:
        figures["F1"] = _cells(called)
    document = {"about": about, **without_nan(figures)}
    run = run_record(arguments.command, gpu=arguments.device != "cpu")
    text = "\n\n".join(to_text(one) for one in (table, called) if one is not None)
    printed = json.dumps({"run": run, **document}, indent=2)
    if arguments.out is not None:
        write_text(arguments.out / "labels.json", printed + "\n")
        write_text(arguments.out / "labels.txt", text + "\n")
    if arguments.split == "test":
        entry = {"weights_sha256": ours, **about, **without_nan(figures)}
        append_run(arguments.test_log, entry, command=arguments.command, again=arguments.again)
    sys.stdout.write((printed if arguments.json else text) + "\n")
    return 0


def _open(arguments: argparse.Namespace, weights_sha256: str) -> Retriever:
    """Raises MismatchError for an index of another encoder."""
    opened = partial(arguments.open_retriever or Retriever.open, device=arguments.device)
    retriever: Retriever = opened(arguments.index)
    spec = retriever.encoder.spec
    if spec.weights_sha256 != weights_sha256:
        raise MismatchError(
            f"{arguments.index} was built with {spec.name}, not with {arguments.encoder}: name the "
            "encoder of the index"
        )
    return retriever


def _cells(table: Table) -> dict[str, Any]:
    return {
        row: {column: asdict(figure.interval) for column, figure in cells.items()}
        for row, cells in table.rows.items()
    }
