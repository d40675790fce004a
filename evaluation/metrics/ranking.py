"""Ranking metrics: AUC and average precision of scores, nDCG and recall of hits.

    aucs = [auc_statistic(labels[:, i], scores[:, i]) for i in columns]  # (n, 14) each
    bootstrap(average(aucs))
    bootstrap(mean_of(ndcg_at_k(relevance_of_hits, 5, pool=relevance_of_all_cases)))

AUC and average precision take a column of studies and are one number; the others give one number
per study, for `mean_of`. Undefined (no positive, no relevant case) is NaN.
"""

import numpy as np
import numpy.typing as npt

from db.errors import UserError
from evaluation.metrics.bootstrap import Compute, FloatArray, Rows, Statistic, ratio


def roc_auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve of ``scores`` (n,) for ``labels`` (n,) of 0 and 1: how often a
    positive scores above a negative, a tie counting half. NaN when all labels are the same."""
    return auc_statistic(labels, scores).value


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the precision-recall curve as a step function, without interpolation; studies of
    equal score enter together. NaN without a positive."""
    return average_precision_statistic(labels, scores).value


def auc_statistic(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Statistic:
    """`roc_auc`, ready for `bootstrap`."""

    def of(rows: Rows) -> Compute:
        ranking = _Ranking(*rows)

        def compute(weights: FloatArray) -> FloatArray:
            positive, negative = ranking.grouped(weights)
            negatives = negative.sum(axis=1)
            lower = negatives[:, None] - np.cumsum(negative, axis=1)
            won = (positive * (lower + negative / 2)).sum(axis=1)
            return ratio(won, positive.sum(axis=1) * negatives)

        return compute

    return Statistic(rows=_ranked(labels, scores), score=of, count=_rarer)


def average_precision_statistic(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Statistic:
    """`average_precision`, ready for `bootstrap`."""

    def of(rows: Rows) -> Compute:
        ranking = _Ranking(*rows)

        def compute(weights: FloatArray) -> FloatArray:
            positive, negative = ranking.grouped(weights)
            found = np.cumsum(positive, axis=1)
            retrieved = found + np.cumsum(negative, axis=1)
            precision = found / np.maximum(retrieved, 1e-300)  # nothing drawn so far: adds 0
            return ratio((precision * positive).sum(axis=1), positive.sum(axis=1))

        return compute

    return Statistic(rows=_ranked(labels, scores), score=of, count=_rarer)


def precision_at_k(relevance: npt.ArrayLike, k: int) -> FloatArray:
    """Share of relevant hits (above 0) among the first ``k``: (n,).

    ``relevance`` (n, m), m at least k, is that of the hits in rank order; where fewer than k hits
    were found, it is filled with 0.
    """
    share: FloatArray = (_hits(relevance, k) > 0).mean(axis=1)
    return share


def ndcg_at_k(relevance: npt.ArrayLike, k: int, *, pool: npt.ArrayLike) -> FloatArray:
    """Normalised discounted cumulative gain of the first ``k`` hits: (n,), in [0, 1].

    Järvelin and Kekäläinen, TOIS 2002, with the graded relevance itself as gain and a discount of
    log2(rank + 1). ``relevance`` as for `precision_at_k`; ``pool`` (n, p), in any order, is the
    relevance of everything that could have been found, or of the best ``k`` of it, from which the
    best possible order is taken. NaN where nothing in the pool is relevant.
    """
    hits = _hits(relevance, k)
    everything = _table(pool, "the pool")
    if len(everything) != len(hits):
        raise UserError(f"nDCG got hits of {len(hits)} studies and a pool of {len(everything)}")
    if hits.min() < 0 or everything.min() < 0:
        raise UserError("nDCG needs relevance of 0 or more, got a negative one")
    discount = 1 / np.log2(np.arange(2, k + 2))
    best = np.sort(everything, axis=1)[:, ::-1][:, :k]
    gain, ideal = hits @ discount, best @ discount[: best.shape[1]]
    if (gain > ideal + 1e-9).any():
        raise UserError("nDCG got hits better than their pool; the pool has to contain the hits")
    return ratio(gain, ideal)


def first_ranks(scores: npt.ArrayLike, relevant: npt.ArrayLike) -> FloatArray:
    """Rank (from 1) of the best relevant case of each study: (n,); infinite without one.

    ``scores`` (n, m), ``relevant`` (n, m) of 0 and 1. An irrelevant case of equal score stands
    before it, so that a constant score earns nothing.
    """
    table, wanted = _table(scores, "the scores"), _zero_or_one(relevant)
    if wanted.shape != table.shape:
        raise UserError(f"got scores of shape {table.shape} and relevance of {wanted.shape}")
    best = np.where(wanted, table, -np.inf).max(axis=1, keepdims=True)
    before = (~wanted & (table >= best)).sum(axis=1)
    return np.where(wanted.any(axis=1), 1.0 + before, np.inf)


def recall_at_k(ranks: npt.ArrayLike, k: int) -> FloatArray:
    """Whether the one relevant case, its study's own report say, is among the first ``k``: (n,),
    0 or 1, from `first_ranks`."""
    return (_ranks(ranks) <= _positive(k)).astype(np.float64)


def reciprocal_rank(ranks: npt.ArrayLike) -> FloatArray:
    """1 / rank of the first relevant case: (n,), from `first_ranks`; 0 without one."""
    return 1 / _ranks(ranks)


def _ranked(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Rows:
    """Labels (n,) of 0 and 1, and the rank of each score (n,), ties sharing their mean rank.

    Ranks of two systems can be exchanged, whatever the scales of their scores.
    """
    positive, values = _zero_or_one(labels), np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or positive.shape != values.shape:
        raise UserError(
            f"a ranking needs one label and one score per study and at least one study, got "
            f"shapes {positive.shape} and {values.shape}"
        )
    if np.isnan(values).any():
        raise UserError(f"{int(np.isnan(values).sum())} of {values.size} scores are NaN")
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2
    return positive.astype(np.float64), middle[place]


def _rarer(rows: Rows) -> int:
    """How many positive or negative studies there are, whichever are fewer."""
    positive = int(rows[0].sum())
    return min(positive, len(rows[0]) - positive)


class _Ranking:
    """Labels in the order of falling scores, with where a new score begins."""

    def __init__(self, labels: FloatArray, scores: FloatArray) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        self._positive = labels[self._order]

    def grouped(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weight of the positives and of the negatives at each distinct score: (b, groups)."""
        ordered = weights[:, self._order]
        positive = ordered * self._positive
        negative = ordered - positive
        if len(self._starts) == len(self._order):
            return positive, negative
        return (
            np.add.reduceat(positive, self._starts, axis=1),
            np.add.reduceat(negative, self._starts, axis=1),
        )


def _zero_or_one(values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    given = np.asarray(values)
    if not np.isin(given, (0, 1)).all():
        raise UserError("labels and relevance of this metric must be 0 or 1, got another value")
    return given.astype(np.bool_)


def _table(values: npt.ArrayLike, what: str) -> FloatArray:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or np.isnan(table).any():
        raise UserError(f"{what} must be a filled table without NaN, got shape {table.shape}")
    return table


def _hits(relevance: npt.ArrayLike, k: int) -> FloatArray:
    table = _table(relevance, "the relevance of the hits")
    if table.shape[1] < _positive(k):
        raise UserError(f"a metric at k = {k} needs {k} hits per study, got {table.shape[1]}")
    return table[:, :k]


def _ranks(ranks: npt.ArrayLike) -> FloatArray:
    given = np.asarray(ranks, dtype=np.float64)
    if given.ndim != 1 or given.size == 0 or not (given >= 1).all():
        raise UserError("ranks must be one number from 1 up per study, for at least one study")
    return given


def _positive(k: int) -> int:
    if k < 1:
        raise UserError(f"k must be 1 or more, got {k}")
    return k
