"""Agreement of two raters beyond chance, with its interval.

bootstrap(kappa_statistic(first, second, categories=2))              # Cohen's kappa
bootstrap(kappa_statistic(first, second, categories=6, weighted=True))

Cohen, Psychological Bulletin 1968;70(4):213-220: with ``weighted`` a disagreement weighs the square
of its distance, as of counts or grades. Equal to ``sklearn.metrics.cohen_kappa_score``.
"""

from collections.abc import Sequence

import numpy as np

from db.errors import UserError
from evaluation.metrics.bootstrap import FloatArray, Statistic, of_sums, ratio


def kappa_statistic(
    first: Sequence[int] | np.ndarray,
    second: Sequence[int] | np.ndarray,
    *,
    categories: int,
    weighted: bool = False,
    counted: np.ndarray | None = None,
) -> Statistic:
    """Kappa of two ratings (n,) from 0 to ``categories`` - 1, of the items ``counted`` (n,) only.

    NaN where both raters always say the same one thing. Raises UserError for ratings of another
    number, or beyond the categories.
    """
    a, b = np.asarray(first, dtype=np.intp), np.asarray(second, dtype=np.intp)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise UserError(f"kappa needs two ratings of each item, got {a.size} and {b.size}")
    if min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= categories:
        raise UserError(f"kappa got a rating that is none of 0 to {categories - 1}")
    table = np.zeros((len(a), categories, categories))
    table[np.arange(len(a)), a, b] = 1.0
    if counted is not None:
        table[~np.asarray(counted, dtype=bool)] = 0.0
    grades = np.arange(categories)
    far = (grades[:, None] != grades).astype(np.float64)
    if weighted:
        far = (grades[:, None] - grades).astype(np.float64) ** 2

    def kappa(sums: FloatArray) -> FloatArray:
        total = sums.sum(axis=(1, 2))
        rows, columns = sums.sum(axis=2), sums.sum(axis=1)
        by_chance = ratio((rows[:, :, None] * columns[:, None] * far).sum(axis=(1, 2)), total)
        return 1 - ratio((sums * far).sum(axis=(1, 2)), by_chance)

    return of_sums(table, kappa, informative=lambda each: int(each.any(axis=1).sum()))
