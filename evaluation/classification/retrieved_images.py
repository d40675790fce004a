"""An index on images that have labels and no report: votes, and the findings of its reports.

    found = retrieve_images(images, retriever, calibration)
    auc_table(images, [scored, found.votes], resamples=10_000)
    to_text(called_table(images, found.called, resamples=10_000))

Images of another hospital, labelled by others: how well what was indexed carries over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from db.labels import NO_FINDING, OBSERVATIONS, Labels, positives
from evaluation.classification.labelled_images import MIN_POSITIVES, Scored
from evaluation.metrics.labels import f1_statistic
from evaluation.outputs.conditions import K_EXTRACTIVE
from evaluation.outputs.names import EXTRACTIVE, HEAD, NEAREST, VOTE
from evaluation.tables import Cell, Table, tabulate
from generator.assessment.calibration import Calibration
from generator.request import GenerationRequest
from generator.without_model import run_without_model
from indexer.cli.progress import progress_bar
from indexer.images.reader import read_radiograph
from indexer.reports.labeller import label_report
from indexer.sources.nih_folders import NihImage, label_table, observed
from retriever.options import SearchOptions
from retriever.query import image_queries
from retriever.search import Retriever

_BATCH = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class RetrievedImages:
    """What an index says of n images, one a study."""

    votes: Scored
    called: Mapping[str, npt.NDArray[np.bool_]]
    """System to the observations that it calls present or possible, (n, 14)."""


def retrieve_images(
    images: Sequence[NihImage], retriever: Retriever, calibration: Calibration
) -> RetrievedImages:
    """Vote, and write an extractive report, for each image."""
    votes: list[list[float]] = []
    labels: dict[str, list[Labels]] = {EXTRACTIVE: [], NEAREST: [], HEAD: []}
    request = GenerationRequest(options=SearchOptions(k=K_EXTRACTIVE))
    for start in progress_bar(range(0, len(images), _BATCH), unit="batch"):
        read = [[read_radiograph(image.path)] for image in images[start : start + _BATCH]]
        for query in image_queries(retriever.encoder, read):
            vote = retriever.vote(query)
            votes.append([vote[name].probability for name in OBSERVATIONS])
            retrieval, report = run_without_model(
                retriever, query, request, calibration=calibration
            )
            labels[EXTRACTIVE].append(label_report([one.text for one in report.statements]))
            labels[NEAREST].append(retrieval.hits[0].case.labels)
            if query.image_findings is not None:
                labels[HEAD].append(dict.fromkeys(query.image_findings, "positive"))
    return RetrievedImages(
        votes=Scored(
            name=VOTE,
            weights_sha256=retriever.encoder.spec.weights_sha256,
            labels=np.array(votes, dtype=np.float32),
            extra=None,
        ),
        called={name: positives(some) for name, some in labels.items() if some},
    )


def called_table(
    images: Sequence[NihImage],
    called: Mapping[str, npt.NDArray[np.bool_]],
    *,
    resamples: int,
) -> Table:
    """Tabulate F1 of the calls over the findings that enough images show, and of each."""
    truth, known = observed(label_table([image.labels for image in images]))
    columns = [
        column
        for column in np.flatnonzero(known).tolist()
        if OBSERVATIONS[column] != NO_FINDING and truth[:, column].sum() >= MIN_POSITIVES
    ]
    rows: dict[str, dict[str, Cell]] = {}
    for system, said in called.items():
        real = truth.astype(bool)
        counts = np.stack([real & said, ~real & said, real & ~said], axis=-1)
        if columns:
            row = f"micro, {len(columns)} findings"
            rows.setdefault(row, {})[system] = f1_statistic(counts[:, columns])
        for column in columns:
            row = f"{OBSERVATIONS[column]} ({int(truth[:, column].sum())})"
            rows.setdefault(row, {})[system] = f1_statistic(counts[:, [column]])
    return tabulate(
        "Label F1 by images, intervals by patient",
        rows,
        patients=[image.patient_id for image in images],
        notes=("in brackets: images that show it; what a report calls possible counts as called",),
        resamples=resamples,
    )
