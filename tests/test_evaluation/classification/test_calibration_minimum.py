"""From how many studies a calibration does better than the mean of the opinions."""

import re

import numpy as np
import pytest

from db.errors import UserError
from db.labels import OBSERVATIONS
from evaluation.classification.calibration import (
    MIN_NAMED,
    MIN_STUDIES,
    check_enough,
    fit,
)
from generator.assessment.calibration import Calibration

SHARES = np.array(
    [0.38, 0.02, 0.10, 0.03, 0.10, 0.02, 0.01, 0.01, 0.08, 0.01, 0.04, 0.01, 0.03, 0.05]
)
"""Of positive studies, about those of an unselected set of chest X-rays."""


def draw(rng: np.random.Generator, studies: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Truth (n, 14), and three opinions of growing worth, each with a bias of its own."""
    truth = rng.random((studies, len(OBSERVATIONS))) < SHARES
    opinions = []
    for strength, bias in ((0.3, 1.0), (0.6, 0.5), (1.2, -0.3)):
        odds = np.log(SHARES / (1 - SHARES)) + bias + strength * (truth * 2.0 - 1)
        opinions.append(1 / (1 + np.exp(-odds - rng.normal(0, 1, truth.shape))))
    return truth, opinions


def log_loss(calibration: Calibration, truth: np.ndarray, opinions: list[np.ndarray]) -> float:
    offsets = np.array([calibration.offsets.get(name, 0.0) for name in OBSERVATIONS])
    weights = (calibration.language_model, calibration.knn, calibration.label_head)
    odds = offsets + sum(w * np.log(p / (1 - p)) for w, p in zip(weights, opinions, strict=True))
    return float(np.log1p(np.exp(np.where(truth, -odds, odds))).mean())


def share_better(studies: int, draws: int = 20) -> float:
    rng = np.random.default_rng(studies)
    better = 0
    for _ in range(draws):
        truth, (model, knn, head) = draw(rng, studies)
        fitted = fit(language_model=model, knn=knn, label_head=head, truth=truth, name="drawn")
        others = draw(rng, 1000)
        better += log_loss(fitted, *others) < log_loss(Calibration(), *others)
    return better / draws


def test_a_fit_on_the_fewest_studies_does_better_than_the_mean_and_on_five_it_may_not() -> None:
    assert share_better(MIN_STUDIES) == 1.0
    assert share_better(5) < 1.0


def test_too_few_studies_or_findings_are_refused_with_the_number_needed() -> None:
    with pytest.raises(UserError, match=f"^1 studies are too few .* {MIN_STUDIES} are needed"):
        check_enough(1)
    truth = np.zeros((MIN_STUDIES, 14))
    truth[0, : MIN_NAMED - 1] = 1
    with pytest.raises(UserError, match=re.escape(f"name {MIN_NAMED - 1} observations")):
        check_enough(MIN_STUDIES, truth)
    with pytest.raises(UserError, match=re.escape("do not name 9")):
        check_enough(MIN_STUDIES, 1 - truth)
    truth[1, 0] = 1
    check_enough(MIN_STUDIES, truth)
