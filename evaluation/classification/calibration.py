"""Fits `generator.assessment.calibration`: three weights for all observations and one offset each.

calibration = fit(opinions, truth, fitted_on="val of openi")

Logistic regression on the log-odds of the opinions. Val has few positives, so weights are drawn
towards the mean of the opinions and offsets towards each other (ridge); a weight that would come
out negative is left out.
"""

import random
from collections.abc import Mapping, Sequence

import numpy as np

from db.errors import UserError
from db.labels import NO_FINDING, OBSERVATIONS
from generator.assessment.calibration import UNFITTED_POINTS, Calibration, Sensitivity, log_odds

RIDGE = 1.0
"""Half of it times the squared distance is added to the log-loss, which is a sum over pairs."""

MIN_STUDIES = 20
MIN_NAMED = 10
"""The fewest studies, and the fewest pairs of study and observation that are positive, and that are
not. Of 40 fits on drawn opinions all did better on other studies than the mean of the opinions from
20 studies on, which name about 20 observations; 95 % did with 10 studies, and 68 % with 3. See
`tests/test_evaluation/classification/test_calibration_minimum.py`."""

SPECIFICITY: Mapping[Sensitivity, float] = {"high": 0.7, "balanced": 0.8, "specific": 0.95}
"""Share of the studies whose reports name no finding that are given none."""

FOLDS = 10
"""Of patients: each is assessed by a calibration that was fitted on the others."""

_SEED = 0
_STEPS = 100


def check_enough(studies: int, truth: np.ndarray | None = None) -> None:
    """Raises UserError where so few studies cannot bear a fit; ``truth`` (n, 14) of 0 and 1."""
    if studies < MIN_STUDIES:
        raise UserError(
            f"{studies} studies are too few to calibrate on: {MIN_STUDIES} are needed, or else the "
            "fit may be worse than the mean of the opinions; the calibration stays as it is"
        )
    if truth is None:
        return
    named, others = int((truth > 0).sum()), int((truth == 0).sum())
    if min(named, others) < MIN_NAMED:
        raise UserError(
            f"the reports of {studies} studies name {named} observations and do not name {others}: "
            f"{MIN_NAMED} of each are needed; the calibration stays as it is"
        )


def fit(
    *,
    language_model: np.ndarray | None = None,
    knn: np.ndarray,
    label_head: np.ndarray | None,
    truth: np.ndarray,
    name: str,
    encoder_sha256: str | None = None,
) -> Calibration:
    """Probabilities (n, 14) against what the reports say, (n, 14) of 0 and 1.

    Raises UserError where all reports say the same of everything.
    """
    if truth.all() or not truth.any():
        raise UserError("nothing can be calibrated on reports that name nothing, or everything")
    given = [
        place for place, one in enumerate((language_model, knn, label_head)) if one is not None
    ]
    sources = [one for one in (language_model, knn, label_head) if one is not None]
    odds = np.stack([np.vectorize(log_odds)(one) for one in sources], axis=-1)  # (n, 14, s)
    used = list(range(len(sources)))
    while True:
        values = _newton(odds[..., used], truth)
        weights = values[: len(used)]
        if (weights >= 0).all() or len(used) == 1:
            break
        used.pop(int(weights.argmin()))
    whole = np.zeros(3)
    whole[[given[place] for place in used]] = np.maximum(weights, 0)
    offsets = values[len(used)] + values[len(used) + 1 :]
    scores = odds[..., used] @ np.maximum(weights, 0) + offsets
    return Calibration(
        language_model=round(float(whole[0]), 6),
        knn=round(float(whole[1]), 6),
        label_head=round(float(whole[2]), 6),
        offsets={n: round(float(o), 6) for n, o in zip(OBSERVATIONS, offsets, strict=True)},
        fitted_on=name,
        operating_points=operating_points(1 / (1 + np.exp(-scores)), truth),
        encoder_sha256=encoder_sha256,
    )


def cross_fitted(
    patients: Sequence[str], *, knn: np.ndarray, label_head: np.ndarray | None, truth: np.ndarray
) -> list[Calibration]:
    """For each of n studies a calibration fitted on the patients of the other folds.

    All tables are (n, 14), as those of `fit`. Raises UserError for fewer patients than folds.
    """
    drawn = sorted(set(patients))
    if len(drawn) < FOLDS:
        raise UserError(f"{len(drawn)} patients are too few for {FOLDS} folds")
    random.Random(_SEED).shuffle(drawn)
    fold = {patient: place % FOLDS for place, patient in enumerate(drawn)}
    of = np.array([fold[patient] for patient in patients])
    fitted = [
        fit(
            knn=knn[of != number],
            label_head=None if label_head is None else label_head[of != number],
            truth=truth[of != number],
            name=f"{int((of != number).sum())} studies of other folds",
        )
        for number in range(FOLDS)
    ]
    return [fitted[number] for number in of]


def operating_points(probabilities: np.ndarray, truth: np.ndarray) -> dict[Sensitivity, float]:
    """Thresholds that leave a share of the studies without findings without one: `SPECIFICITY`.

    ``probabilities`` and ``truth`` are (n, 14). With fewer than `MIN_STUDIES` such studies the
    thresholds of an unfitted calibration are kept.
    """
    findings = [place for place, name in enumerate(OBSERVATIONS) if name != NO_FINDING]
    normal = probabilities[:, findings][~truth[:, findings].any(axis=1)]
    if len(normal) < MIN_STUDIES:
        return dict(UNFITTED_POINTS)
    highest = normal.max(axis=1)
    return {
        name: round(min(max(float(np.quantile(highest, share)), 1e-4), 1 - 1e-4), 6)
        for name, share in SPECIFICITY.items()
    }


def operating_figures(probabilities: np.ndarray, truth: np.ndarray, point: float) -> str:
    """What an operating point gives on these studies; both tables are (n, 14)."""
    findings = [place for place, name in enumerate(OBSERVATIONS) if name != NO_FINDING]
    called, there = probabilities[:, findings] >= point, truth[:, findings].astype(bool)
    normal = ~there.any(axis=1)
    without = float((~called[normal].any(axis=1)).mean()) if normal.any() else float("nan")
    some = float(called[~normal].any(axis=1).mean()) if (~normal).any() else float("nan")
    found = float((called & there).sum() / max(1, there.sum()))
    right = float((called & there).sum() / max(1, called.sum()))
    return (
        f"from {point:.2f}; of the studies without findings {without:.2f} are given none, of the "
        f"others {some:.2f} are given one; recall {found:.2f}, precision {right:.2f}"
    )


def _newton(odds: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Weights (s,), the common offset, and each observation's distance from it (14,)."""
    studies, columns, sources = odds.shape
    rows = np.concatenate(
        [
            odds.reshape(-1, sources),
            np.ones((studies * columns, 1)),
            np.tile(np.eye(columns), (studies, 1)),
        ],
        axis=1,
    )
    wanted = truth.astype(float).ravel()
    prior = np.zeros(rows.shape[1])
    prior[:sources] = 1 / sources
    ridge = np.full(len(prior), RIDGE)
    ridge[sources] = 1e-6
    values = prior.copy()
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ values, -30, 30)))
        slope = rows.T @ (chance - wanted) + ridge * (values - prior)
        curvature = (rows * (chance * (1 - chance))[:, None]).T @ rows + np.diag(ridge)
        step = np.linalg.solve(curvature, slope)
        values -= step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-8:
            break
    return values
