"""Probabilities of the 14 observations, from four sources, against the reports.

sources = opinions(outputs, references, calibration)
tables = class_tables(sources, [study.labels for study in references.studies], shares)

An observation is called where its probability is among the highest, on as many studies as the
share of indexed cases that name it: a threshold that looks at no label of the split.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from db.errors import UserError
from db.labels import FINDINGS, OBSERVATIONS, Labels, positives
from evaluation.metrics.bootstrap import RESAMPLES, FloatArray, Statistic, average, mean_of, of_sums
from evaluation.metrics.labels import f1_statistic
from evaluation.metrics.ranking import auc_statistic, average_precision_statistic
from evaluation.outputs.names import HEAD, VOTE, WITH_RETRIEVAL
from evaluation.outputs.rows import Outputs
from evaluation.reports.references import References
from evaluation.reports.systems import highest
from evaluation.retrieval.scores import LEAST_POSITIVES
from evaluation.tables import Share, Table, tabulate
from generator.assessment.calibration import Calibration

COMBINED, ANSWERED = "combined", "yes or no of the model"
BINS = 10

MEAN = f"mean of findings with {LEAST_POSITIVES} or more"
POOLED = "14 observations together"


def opinions(
    outputs: Outputs, references: References, calibration: Calibration
) -> dict[str, np.ndarray]:
    """Return each source's probabilities, (n, 14).

    Without a language model, or where it classified nothing, those of encoder and votes. Raises
    UserError if it classified only some of the studies.
    """
    answered = outputs.classes.get(WITH_RETRIEVAL, {})
    studies = references.studies
    missing = sum(study.study_id not in answered for study in studies)
    alone = missing == len(studies)
    if missing and not alone:
        raise UserError(
            f"{missing} of {len(studies)} studies are not classified in {outputs.path}: "
            "complete them with --model"
        )
    images = [outputs.images[study.study_id] for study in studies]
    model = None
    if not alone:
        model = _table([answered[study.study_id].probabilities for study in studies])
    votes = _table([image.votes for image in images])
    scores = [image.label_scores for image in images]
    head = None if any(one is None for one in scores) else _table([one or {} for one in scores])
    found = {
        COMBINED: combined(calibration, votes, head, model),
        **({} if model is None else {ANSWERED: model}),
        VOTE: votes,
    }
    return found if head is None else {**found, HEAD: head}


def combined(
    calibration: Calibration,
    knn: np.ndarray,
    head: np.ndarray | None,
    language: np.ndarray | None = None,
) -> np.ndarray:
    """The probabilities (n, 14) of a calibration for the opinions, each (n, 14)."""
    return np.array(
        [
            [
                calibration.probability(
                    name,
                    language_model=None if language is None else language[row, column],
                    knn=knn[row, column],
                    label_head=None if head is None else head[row, column],
                )
                for column, name in enumerate(OBSERVATIONS)
            ]
            for row in range(len(knn))
        ]
    )


def class_tables(
    sources: Mapping[str, np.ndarray],
    labels: Sequence[Labels],
    shares: np.ndarray,
    *,
    patients: Sequence[str | None] | None = None,
    note: str,
    resamples: int = RESAMPLES,
) -> list[Table]:
    """A table a metric, a row an observation; ``shares`` (14,) are those of the index."""
    truth = positives(labels)
    counts = dict(zip(OBSERVATIONS, truth.sum(axis=0), strict=True))
    enough = [name for name in FINDINGS if counts[name] >= LEAST_POSITIVES]
    tables: dict[str, dict[str, dict[str, Statistic | Share]]] = {}
    for source, table in sources.items():
        called = highest(table, shares)
        for metric, each in _metrics(truth, table, called).items():
            rows = tables.setdefault(metric, {})
            if metric != "expected calibration error" and enough:
                rows.setdefault(MEAN, {})[source] = average([each[name] for name in enough])
            elif metric == "expected calibration error":
                rows.setdefault(POOLED, {})[source] = calibration_error(truth, table)
            for name in OBSERVATIONS:
                if counts[name]:
                    rows.setdefault(f"{name} ({counts[name]})", {})[source] = each[name]
    notes = {
        "F1": "called on as many studies as the share of indexed cases that name it",
        "accuracy": "of the same calls",
        "expected calibration error": f"{BINS} bins of equal width",
    }
    return [
        tabulate(
            f"Classification: {metric}",
            rows,
            patients=patients,
            notes=[note, notes[metric]] if metric in notes else [note],
            resamples=resamples,
        )
        for metric, rows in tables.items()
    ]


def calibration_error(truth: np.ndarray, probabilities: np.ndarray) -> Statistic:
    """Of all columns (n, c) together: mean gap of probability and frequency over the bins.

    Guo et al., ICML 2017, weighted by how many fall into a bin.
    """
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = np.zeros((len(truth), BINS))
    for row, column in np.ndindex(*truth.shape):
        gaps[row, bins[row, column]] += probabilities[row, column] - truth[row, column]
    counts = np.concatenate([gaps, np.full((len(truth), 1), truth.shape[1])], axis=1)

    def error(sums: FloatArray) -> FloatArray:
        found: FloatArray = np.abs(sums[:, :-1]).sum(axis=1) / sums[:, -1]
        return found

    return of_sums(counts, error)


def _metrics(
    truth: np.ndarray, table: np.ndarray, called: np.ndarray
) -> dict[str, dict[str, Statistic]]:
    """By metric and observation."""
    found: dict[str, dict[str, Statistic]] = {}
    for column, name in enumerate(OBSERVATIONS):
        real, score, call = truth[:, column], table[:, column], called[:, column]
        outcomes = np.stack([real & call, ~real & call, real & ~call], axis=-1)
        for metric, statistic in (
            ("AUC-ROC", auc_statistic(real, score)),
            ("AUC-PR", average_precision_statistic(real, score)),
            ("F1", f1_statistic(outcomes[:, None])),
            ("accuracy", mean_of(real == call)),
            (
                "expected calibration error",
                calibration_error(truth[:, [column]], table[:, [column]]),
            ),
        ):
            found.setdefault(metric, {})[name] = statistic
    return found


def _table(values: Sequence[Mapping[str, float]]) -> np.ndarray:
    return np.array([[one[name] for name in OBSERVATIONS] for one in values])
