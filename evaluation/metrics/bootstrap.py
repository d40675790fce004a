"""Intervals of a score, and of the difference of two systems, by resampling studies.

    cider = Cider(references)
    ours, theirs = (mean_of(cider.score_each(texts)) for texts in (our_texts, their_texts))
    paired_bootstrap(ours, theirs)  # the interval of ours - theirs

A resample draws as many studies as there are, with replacement; all that a score needs of it is
how often each study was drawn. So a `Statistic` is a function of those counts, many resamples at a
time, and nothing is scored twice. Percentile interval of Efron and Tibshirani, An Introduction to
the Bootstrap, 1993, ch. 13; pairing as in Koehn, EMNLP 2004.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from db.errors import UserError

FloatArray = npt.NDArray[np.float64]

PERCENTILES = (2.5, 97.5)

RESAMPLES = 10_000
"""Of every interval, unless the command line asks for another number."""

_CELLS = 1 << 18  # resamples times studies held at once: 2 MB


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value on all studies and its 95 % percentile interval; NaN where it is undefined."""

    value: float
    low: float
    high: float
    dropped: int = 0
    """Resamples left out because the statistic is undefined there (no positive drawn, say)."""


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A score over a fixed list of studies, as a function of how often each of them counts."""

    studies: int
    compute: Callable[[FloatArray], FloatArray]
    """Weights (b, studies) to scores (b,); NaN where undefined. Must not change its input."""

    @property
    def value(self) -> float:
        """The score when every study counts once; NaN where undefined."""
        return float(self.compute(np.ones((1, self.studies)))[0])


def mean_of(scores: npt.ArrayLike) -> Statistic:
    """The mean of per-study scores (n,). A NaN is a study where the score is undefined; it takes
    no part in the mean."""
    each = np.asarray(scores, dtype=np.float64)
    if each.ndim != 1 or each.size == 0:
        raise UserError(f"a mean needs one score per study, got shape {each.shape}")
    defined = ~np.isnan(each)
    sums = np.stack([np.where(defined, each, 0.0), defined.astype(np.float64)], axis=1)
    return of_sums(sums, lambda totals: ratio(totals[:, 0], totals[:, 1]))


def of_sums(counts: npt.ArrayLike, score: Callable[[FloatArray], FloatArray]) -> Statistic:
    """A score of per-study counts (n, ...) summed over the studies.

    ``score`` takes sums (b, ...) to (b,).
    """
    each = np.asarray(counts, dtype=np.float64)
    if each.ndim < 2 or each.shape[0] == 0:
        raise UserError(f"a score of sums needs one row of counts per study, got {each.shape}")
    flat = each.reshape(each.shape[0], -1)

    def compute(weights: FloatArray) -> FloatArray:
        return score((weights @ flat).reshape(-1, *each.shape[1:]))

    return Statistic(studies=each.shape[0], compute=compute)


def average(statistics: Sequence[Statistic]) -> Statistic:
    """The unweighted mean of several statistics over the same studies, such as an AUC over its
    observations; undefined where one of them is."""
    if not statistics:
        raise UserError("an average needs at least one statistic, got none")
    studies = _same_studies(statistics)

    def compute(weights: FloatArray) -> FloatArray:
        scores = np.stack([one.compute(weights) for one in statistics])
        means: FloatArray = scores.mean(axis=0)
        return means

    return Statistic(studies=studies, compute=compute)


def bootstrap(statistic: Statistic, *, resamples: int = 10_000, seed: int = 0) -> Interval:
    """The interval of one system's score; the same seed gives the same interval."""
    drawn = _draw(statistic.studies, resamples, seed)
    return _interval(statistic.value, [statistic.compute(weights) for weights in drawn])


def paired_bootstrap(
    a: Statistic, b: Statistic, *, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The interval of ``a - b``, both taken on the same resamples: study i of one must be study i
    of the other. A resample where either is undefined is dropped."""
    drawn = _draw(_same_studies([a, b]), resamples, seed)
    return _interval(a.value - b.value, [a.compute(w) - b.compute(w) for w in drawn])


def check_resamples(resamples: int) -> None:
    """Raises UserError for less than one."""
    if resamples < 1:
        raise UserError(f"a bootstrap needs at least one resample, got {resamples}")


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Elementwise quotient; NaN where the denominator is 0."""
    quotient = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def _same_studies(statistics: Sequence[Statistic]) -> int:
    sizes = {one.studies for one in statistics}
    if len(sizes) != 1:
        raise UserError(f"scores to compare must be over the same studies, got {sorted(sizes)}")
    return sizes.pop()


def _draw(studies: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each study is drawn, (b, studies) at a time."""
    check_resamples(resamples)
    rng = np.random.default_rng(seed)
    rows = max(1, _CELLS // studies)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = rng.integers(0, studies, (size, studies))
        drawn += np.arange(size)[:, None] * studies
        counts = np.bincount(drawn.ravel(), minlength=size * studies)
        yield counts.reshape(size, studies).astype(np.float64)


def _interval(value: float, chunks: Sequence[FloatArray]) -> Interval:
    values = np.concatenate(chunks)
    defined = values[~np.isnan(values)]
    low, high = np.percentile(defined, PERCENTILES) if defined.size else (np.nan, np.nan)
    dropped = int(values.size - defined.size)
    return Interval(value=value, low=float(low), high=float(high), dropped=dropped)
