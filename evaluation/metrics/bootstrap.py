"""Intervals of a score, and of the difference of two systems, by resampling patients.

    cider = Cider(references)
    ours, theirs = (mean_of(cider.score_each(texts)) for texts in (our_texts, their_texts))
    ours, theirs = (by_patient(one, patient_ids) for one in (ours, theirs))
    paired_bootstrap(ours, theirs)  # the interval of ours - theirs, and its p

A resample draws as many patients as there are, with replacement, each with all its studies: studies
of one patient resemble each other, and intervals that resample studies are too narrow where a
patient has several (``bench/evaluation/coverage.py``). All that a score needs of a resample is how
often each study was drawn; so a `Statistic` is a function of those counts, many resamples at a
time, and nothing is scored twice. Percentile interval of Efron and Tibshirani, An Introduction to
the Bootstrap, 1993, ch. 13, of whole clusters as in Davison and Hinkley, Bootstrap Methods, 1997,
ch. 3.8; pairing as in Koehn, EMNLP 2004.

The p of a difference is that of paired randomization (Noreen, Computer-Intensive Methods for
Testing Hypotheses, 1989): how often it is as large when the two systems' outputs are exchanged for
a random half of the patients.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from db.errors import UserError

FloatArray = npt.NDArray[np.float64]
Rows = tuple[FloatArray, ...]
Compute = Callable[[FloatArray], FloatArray]

PERCENTILES = (2.5, 97.5)

RESAMPLES = 10_000
"""Of every interval, unless the command line asks for another number."""

_CELLS = 1 << 18  # resamples times studies held at once: 2 MB
_EQUAL = 1e-12  # differences this close are the same but for rounding


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value on all studies and its 95 % percentile interval; NaN where it is undefined."""

    value: float
    low: float
    high: float
    dropped: int = 0
    """Resamples left out because the statistic is undefined there (no positive drawn, say)."""
    p: float | None = None
    """Of a difference: the two-sided p of paired randomization. None for a single score."""


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A score over a fixed list of studies, as a function of how often each of them counts."""

    rows: Rows
    """All that the score needs of each study: arrays (studies, ...)."""
    score: Callable[[Rows], Compute]
    """Rows to a function of weights (b, studies) that gives scores (b,), NaN where undefined, and
    does not change its input."""
    patients: npt.NDArray[np.intp] | None = None
    """(studies,) the number of each study's patient, from 0; None where each has one study."""
    count: Callable[[Rows], int] | None = None
    """Rows to the number of studies that the score rests on; None where it rests on all."""

    @property
    def studies(self) -> int:
        return len(self.rows[0])

    @property
    def informative(self) -> int:
        """How many studies the score rests on: those asked about, say, or the fewer of positive and
        negative ones."""
        return self.studies if self.count is None else self.count(self.rows)

    @cached_property
    def compute(self) -> Compute:
        return self.score(self.rows)

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
    return of_sums(
        sums,
        lambda totals: ratio(totals[:, 0], totals[:, 1]),
        informative=lambda rows: int(rows[:, 1].sum()),
    )


def of_sums(
    counts: npt.ArrayLike,
    score: Callable[[FloatArray], FloatArray],
    *,
    informative: Callable[[FloatArray], int] | None = None,
) -> Statistic:
    """A score of per-study counts (n, ...) summed over the studies.

    ``score`` takes sums (b, ...) to (b,), ``informative`` the counts, (n, ...) flattened to two
    dimensions, to the number of studies that the score rests on.
    """
    each = np.asarray(counts, dtype=np.float64)
    if each.ndim < 2 or each.shape[0] == 0:
        raise UserError(f"a score of sums needs one row of counts per study, got {each.shape}")
    shape = each.shape[1:]

    def of(rows: Rows) -> Compute:
        (flat,) = rows
        return lambda weights: score((weights @ flat).reshape(-1, *shape))

    count = None if informative is None else (lambda rows: informative(rows[0]))
    return Statistic(rows=(each.reshape(each.shape[0], -1),), score=of, count=count)


def average(statistics: Sequence[Statistic]) -> Statistic:
    """The unweighted mean of several statistics over the same studies, such as an AUC over its
    observations; undefined where one of them is."""
    if not statistics:
        raise UserError("an average needs at least one statistic, got none")
    _same_studies(statistics)

    def of(rows: Rows) -> Compute:
        each, start = [], 0
        for one in statistics:
            each.append(one.score(rows[start : start + len(one.rows)]))
            start += len(one.rows)

        def compute(weights: FloatArray) -> FloatArray:
            means: FloatArray = np.stack([score(weights) for score in each]).mean(axis=0)
            return means

        return compute

    rows = tuple(row for one in statistics for row in one.rows)
    return Statistic(rows=rows, score=of, patients=statistics[0].patients)


def by_patient(statistic: Statistic, patient_ids: Sequence[str | None]) -> Statistic:
    """The same score, resampled by patient: one id per study.

    A study without an id is a patient of its own. Raises UserError for another number of ids.
    """
    if len(patient_ids) != statistic.studies:
        raise UserError(
            f"resampling by patient needs one patient per study, got {len(patient_ids)} for "
            f"{statistic.studies} studies"
        )
    numbers: dict[str | int, int] = {}
    keys = [patient or place for place, patient in enumerate(patient_ids)]
    found = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
    return replace(statistic, patients=None if len(numbers) == len(found) else found)


def restrict(statistic: Statistic, chosen: npt.NDArray[np.bool_]) -> Statistic:
    """The score on some of its studies: the others are never drawn."""
    if chosen.all():
        return statistic
    patients = statistic.patients
    if patients is not None:
        patients = np.unique(patients[chosen], return_inverse=True)[1]
    return replace(statistic, rows=tuple(row[chosen] for row in statistic.rows), patients=patients)


def bootstrap(statistic: Statistic, *, resamples: int = 10_000, seed: int = 0) -> Interval:
    """The interval of one system's score; the same seed gives the same interval."""
    drawn = _draw(statistic, resamples, seed)
    return _interval(statistic.value, [statistic.compute(weights) for weights in drawn])


def paired_bootstrap(
    a: Statistic, b: Statistic, *, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The interval of ``a - b``, both taken on the same resamples, and the p of the difference.

    Study i of one must be study i of the other, and both the same kind of score. A resample where
    either is undefined is dropped.
    """
    _same_studies([a, b])
    drawn = _draw(a, resamples, seed)
    found = _interval(a.value - b.value, [a.compute(w) - b.compute(w) for w in drawn])
    return replace(found, p=randomization_p(a, b, resamples=resamples, seed=seed))


def randomization_p(
    a: Statistic, b: Statistic, *, resamples: int = 10_000, seed: int = 0
) -> float | None:
    """How often ``a - b`` is as far from 0 when outputs are exchanged at random, two-sided.

    Outputs are exchanged for all studies of a patient together. The share counts the observed
    difference itself, so it is never 0; None where the difference is undefined.
    """
    check_resamples(resamples)
    observed = abs(a.value - b.value)
    if np.isnan(observed):
        return None
    studies = _same_studies([a, b])
    pooled = a.score(tuple(np.concatenate(pair) for pair in zip(a.rows, b.rows, strict=True)))
    rng = np.random.default_rng(seed)
    people = _patients(a)
    as_far = defined = 0
    for size in _blocks(resamples, 2 * studies):
        kept = _of_studies(a, rng.integers(0, 2, (size, people)).astype(np.float64))
        first = np.concatenate([kept, 1 - kept], axis=1)
        found = np.abs(pooled(first) - pooled(1 - first))
        as_far += int((found >= observed - _EQUAL).sum())
        defined += int((~np.isnan(found)).sum())
    return (1 + as_far) / (1 + defined)


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
    first, *others = (_grouping(one) for one in statistics)
    if any(not np.array_equal(one, first) for one in others):
        raise UserError("scores to compare must be over the same patients")
    return sizes.pop()


def _grouping(statistic: Statistic) -> npt.NDArray[np.intp]:
    """The number of each study's patient."""
    given = statistic.patients
    return np.arange(statistic.studies, dtype=np.intp) if given is None else given


def _patients(statistic: Statistic) -> int:
    return statistic.studies if statistic.patients is None else int(statistic.patients.max()) + 1


def _of_studies(statistic: Statistic, weights: FloatArray) -> FloatArray:
    """Weights of patients (b, patients) as weights of their studies (b, studies)."""
    return weights if statistic.patients is None else weights[:, statistic.patients]


def _draw(statistic: Statistic, resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each study is drawn, (b, studies) at a time."""
    check_resamples(resamples)
    rng = np.random.default_rng(seed)
    people = _patients(statistic)
    for size in _blocks(resamples, statistic.studies):
        drawn = rng.integers(0, people, (size, people))
        drawn += np.arange(size)[:, None] * people
        counts = np.bincount(drawn.ravel(), minlength=size * people)
        yield _of_studies(statistic, counts.reshape(size, people).astype(np.float64))


def _blocks(resamples: int, studies: int) -> Iterator[int]:
    """How many resamples to hold at once, until all are drawn."""
    rows = max(1, _CELLS // studies)
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)


def _interval(value: float, chunks: Sequence[FloatArray]) -> Interval:
    values = np.concatenate(chunks)
    defined = values[~np.isnan(values)]
    low, high = np.percentile(defined, PERCENTILES) if defined.size else (np.nan, np.nan)
    dropped = int(values.size - defined.size)
    return Interval(value=value, low=float(low), high=float(high), dropped=dropped)
