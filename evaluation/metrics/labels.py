"""Label F1, and the label overlap of two studies.

    score = label_f1(reference_labels, predicted_labels)
    score.micro.f1, score.macro, score.per_observation["Edema"].recall, score.no_finding.f1
    bootstrap(f1_statistic(label_counts(reference_labels, predicted_labels)))

The positive class is scored and uncertain counts as positive; negative and unmentioned are both
not positive. Micro and macro are over the 13 findings; No Finding has a row of its own. A table
has to name the labeller, and its version, that made the reference labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from db.errors import UserError
from db.labels import FINDINGS, NO_FINDING, Labels, positives
from evaluation.metrics.bootstrap import FloatArray, Statistic, of_sums, ratio

Average = Literal["micro", "macro"]

_CELLS = 1 << 22  # label overlaps held at once: 32 MB


@dataclass(frozen=True, kw_only=True)
class F1:
    """F1 and its parts; NaN where undefined: precision when nothing is predicted, recall when no
    reference is positive, F1 when neither is."""

    f1: float
    precision: float
    recall: float
    positives: int
    """How many references are positive or uncertain."""


@dataclass(frozen=True, kw_only=True)
class LabelF1:
    """Label F1 of one system."""

    micro: F1
    """Over all pairs of a study and one of the 13 findings."""
    macro: float
    """Mean F1 of the findings that a reference has: which findings count does not depend on the
    system. NaN when there is none."""
    per_observation: Mapping[str, F1]
    """The 13 findings, in their usual order."""
    no_finding: F1


def label_f1(references: Sequence[Labels], predictions: Sequence[Labels]) -> LabelF1:
    """Label F1 of ``predictions``, one per study, in the order of ``references``."""
    findings = label_counts(references, predictions)
    no_finding = label_counts(references, predictions, (NO_FINDING,))
    sums = findings.sum(axis=0)
    return LabelF1(
        micro=_f1(sums.sum(axis=0)),
        macro=f1_statistic(findings, "macro").value,
        per_observation=dict(zip(FINDINGS, map(_f1, sums), strict=True)),
        no_finding=_f1(no_finding.sum(axis=(0, 1))),
    )


def label_counts(
    references: Sequence[Labels],
    predictions: Sequence[Labels],
    observations: Sequence[str] = FINDINGS,
) -> npt.NDArray[np.int64]:
    """True positives, false positives and false negatives: (n, len(observations), 3), 0 or 1."""
    if not references or len(references) != len(predictions):
        raise UserError(
            f"label F1 needs one prediction per study and at least one study, got "
            f"{len(predictions)} for {len(references)} studies"
        )
    wanted, got = positives(references, observations), positives(predictions, observations)
    return np.stack([wanted & got, ~wanted & got, wanted & ~got], axis=-1).astype(np.int64)


def f1_statistic(counts: npt.ArrayLike, average: Average = "micro") -> Statistic:
    """F1 from `label_counts`, over all the observations counted there; for a single one slice
    ``counts[:, [i]]``. Macro skips, in each resample, an observation without a positive."""
    return of_sums(
        counts,
        _micro if average == "micro" else _macro,
        informative=lambda rows: int(rows.any(axis=1).sum()),
    )


def label_overlap(
    queries: npt.NDArray[np.bool_], cases: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Jaccard index of the findings of each query (q, 13) and each case (n, 13): (q, n).

    Two studies without any finding agree fully: 1.
    """
    if queries.ndim != 2 or cases.ndim != 2 or queries.shape[1] != cases.shape[1]:
        raise UserError(
            f"label overlap needs two tables of the same observations, got shapes "
            f"{queries.shape} and {cases.shape}"
        )
    a, b = queries.astype(np.float64), cases.astype(np.float64)
    shared = a @ b.T
    either = a.sum(axis=1)[:, None] + b.sum(axis=1) - shared
    return np.where(either == 0, 1.0, shared / np.maximum(either, 1.0))


def highest_overlaps(
    queries: npt.NDArray[np.bool_], cases: npt.NDArray[np.bool_], k: int
) -> npt.NDArray[np.float64]:
    """The ``k`` highest `label_overlap` of each query with any case, in any order: (q, k).

    Of fewer than ``k`` cases all: (q, n). A block of queries is compared at a time, so that a large
    index takes no (q, n) numbers of memory.
    """
    block = max(1, _CELLS // max(1, len(cases)))
    found = []
    for start in range(0, len(queries), block):
        overlap = label_overlap(queries[start : start + block], cases)
        if overlap.shape[1] > k:
            overlap = np.partition(overlap, -k, axis=1)[:, -k:]
        found.append(overlap)
    return np.concatenate(found)


def _micro(sums: FloatArray) -> FloatArray:
    return _f1_of_sums(sums.sum(axis=-2))


def _macro(sums: FloatArray) -> FloatArray:
    present = sums[..., 0] + sums[..., 2] > 0
    total = np.where(present, _f1_of_sums(sums), 0.0).sum(axis=-1)
    return ratio(total, present.sum(axis=-1).astype(np.float64))


def _f1_of_sums(sums: FloatArray) -> FloatArray:
    """(..., 3) to (...)."""
    return ratio(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def _f1(sums: npt.NDArray[np.int64]) -> F1:
    hit, wrong, missed = (np.float64(count) for count in sums)
    precision, recall = ratio(np.array([hit, hit]), np.array([hit + wrong, hit + missed]))
    return F1(
        f1=float(_f1_of_sums(sums.astype(np.float64))),
        precision=float(precision),
        recall=float(recall),
        positives=int(sums[0] + sums[2]),
    )
