import math

import numpy as np
import pytest

from db.errors import UserError
from evaluation.metrics.bootstrap import (
    Interval,
    Statistic,
    average,
    bootstrap,
    by_patient,
    mean_of,
    of_sums,
    paired_bootstrap,
    randomization_p,
    restrict,
)
from evaluation.metrics.ranking import auc_statistic
from evaluation.metrics.text import bleu_statistic


def test_interval_of_a_mean_is_that_of_the_normal_law():
    scores = np.random.default_rng(0).normal(3, 2, 400)
    interval = bootstrap(mean_of(scores))
    half = 1.96 * scores.std() / math.sqrt(400)
    assert interval.value == pytest.approx(scores.mean())
    assert interval.low == pytest.approx(scores.mean() - half, abs=0.03 * half)
    assert interval.high == pytest.approx(scores.mean() + half, abs=0.03 * half)
    assert interval.dropped == 0


def test_interval_covers_the_true_mean_about_95_times_in_100():
    rng = np.random.default_rng(1)
    samples = [rng.exponential(1.0, 100) for _ in range(300)]
    intervals = [bootstrap(mean_of(s), resamples=500, seed=i) for i, s in enumerate(samples)]
    covered = np.mean([one.low <= 1.0 <= one.high for one in intervals])
    assert 0.90 <= covered <= 0.98


def test_paired_interval_is_that_of_the_differences():
    rng = np.random.default_rng(2)
    hardness = rng.normal(0, 5, 200)
    ours, theirs = hardness + rng.normal(0.4, 1, 200), hardness + rng.normal(0, 1, 200)
    paired = paired_bootstrap(mean_of(ours), mean_of(theirs))
    alone = bootstrap(mean_of(ours - theirs))
    assert paired.value == pytest.approx(alone.value)
    for one, other in ((paired.low, alone.low), (paired.high, alone.high)):
        assert one == pytest.approx(other)
    unpaired = bootstrap(mean_of(ours))
    assert paired.high - paired.low < (unpaired.high - unpaired.low) / 2


def test_a_system_differs_from_itself_by_nothing():
    scores = mean_of(np.random.default_rng(3).random(50))
    assert paired_bootstrap(scores, scores) == Interval(value=0, low=0, high=0, p=1.0)


def test_the_seed_decides_the_interval():
    scores = mean_of(np.random.default_rng(4).random(80))
    assert bootstrap(scores, seed=7) == bootstrap(scores, seed=7)
    assert bootstrap(scores, seed=7) != bootstrap(scores, seed=8)


def test_every_resample_draws_as_many_studies_as_there_are():
    weights = []

    def total(sums):
        weights.append(sums[:, 0])
        return sums[:, 0]

    bootstrap(of_sums(np.ones((37, 1)), total), resamples=20_000)
    resampled = np.concatenate(weights[1:])
    assert len(resampled) == 20_000
    assert set(resampled) == {37.0}


def test_studies_are_drawn_equally_often():
    identity = np.eye(5)
    shares = [bootstrap(of_sums(identity, lambda s, i=i: s[:, i]), resamples=4_000) for i in (0, 4)]
    for interval in shares:
        # Binomial(5, 1/5): 3 or fewer in 99.3 %, none in a third of the resamples.
        assert (interval.value, interval.low, interval.high) == (1, 0, 3)


def test_a_mean_leaves_out_studies_where_the_score_is_undefined():
    interval = bootstrap(mean_of([1.0, math.nan, 3.0]), resamples=2_000)
    assert interval.value == 2
    assert interval.dropped / 2_000 == pytest.approx(1 / 27, abs=0.02)


def test_a_paired_resample_is_dropped_where_either_is_undefined():
    a, b = mean_of([1.0, math.nan]), mean_of([math.nan, 1.0])
    interval = paired_bootstrap(a, b, resamples=2_000)
    assert interval.value == 0
    assert interval.dropped / 2_000 == pytest.approx(1 / 2, abs=0.05)


def test_a_statistic_that_is_undefined_everywhere_gives_no_interval():
    interval = bootstrap(mean_of([math.nan, math.nan]), resamples=100)
    assert math.isnan(interval.value) and math.isnan(interval.low) and math.isnan(interval.high)
    assert interval.dropped == 100


def test_an_average_weighs_its_statistics_equally():
    assert average([mean_of([1.0, 1.0]), mean_of([0.0, 0.5])]).value == pytest.approx(0.625)


def test_counts_of_any_shape_are_summed_over_studies():
    counts = np.arange(24).reshape(2, 3, 4)
    last = of_sums(counts, lambda sums: sums[:, 2, 3])
    assert last.value == 11 + 23


def test_resamples_are_computed_many_at_a_time():
    counts = np.random.default_rng(6).integers(1, 30, (590, 9))
    inner, blocks = bleu_statistic(counts), []

    def score(rows):
        def compute(weights):
            blocks.append(len(weights))
            return inner.score(rows)(weights)

        return compute

    bootstrap(Statistic(rows=inner.rows, score=score), resamples=2_000)
    assert sum(blocks) == 2_000 + 1, "and once for all studies"
    assert len(blocks) < 10


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (lambda: mean_of([]), "one score per study"),
        (lambda: mean_of([[1.0]]), "one score per study"),
        (lambda: of_sums(np.zeros((0, 3)), lambda s: s[:, 0]), "one row of counts per study"),
        (lambda: of_sums([1, 2], lambda s: s), "one row of counts per study"),
        (lambda: average([]), "at least one statistic"),
        (lambda: average([mean_of([1.0]), mean_of([1.0, 2.0])]), r"same studies, got \[1, 2\]"),
        (lambda: paired_bootstrap(mean_of([1.0]), mean_of([1.0, 2.0])), r"got \[1, 2\]"),
        (lambda: bootstrap(mean_of([1.0]), resamples=0), "at least one resample, got 0"),
        (lambda: by_patient(mean_of([1.0, 2.0]), ["p"]), "got 1 for 2 studies"),
        (
            lambda: paired_bootstrap(
                mean_of([1.0, 2.0]), by_patient(mean_of([1.0, 2.0]), ["p", "p"])
            ),
            "the same patients",
        ),
    ],
)
def test_input_that_cannot_be_resampled_is_refused_in_one_sentence(score, words):
    with pytest.raises(UserError, match=words):
        score()


def test_studies_of_one_patient_are_drawn_together():
    scores = np.random.default_rng(8).normal(0, 1, 40)
    patients = [f"p{number}" for number in range(40) for _ in range(11)]
    alike = by_patient(mean_of(np.repeat(scores, 11)), patients)
    assert bootstrap(alike).low == pytest.approx(bootstrap(mean_of(scores)).low)
    too_narrow = bootstrap(mean_of(np.repeat(scores, 11)))
    assert too_narrow.high - too_narrow.low < 0.4 * (bootstrap(alike).high - bootstrap(alike).low)


def test_one_study_a_patient_is_resampled_as_before():
    scores = mean_of(np.random.default_rng(9).normal(0, 1, 40))
    for patients in (
        [f"p{number}" for number in range(40)],
        [None] * 40,
        ["", *["p"], *[None] * 38],
    ):
        assert bootstrap(by_patient(scores, patients)) == bootstrap(scores)


def test_a_study_without_a_patient_is_one_of_its_own():
    patients = ["a", "a", None, None]
    assert by_patient(mean_of([1.0, 2.0, 3.0, 4.0]), patients).patients.tolist() == [0, 0, 1, 2]


def test_a_restricted_statistic_draws_no_patient_without_studies():
    patients = ["a", "a", "b", "b", "c"]
    some = restrict(
        by_patient(mean_of([1.0, 3.0, 9.0, 9.0, 5.0]), patients), np.array([1, 1, 0, 0, 1], bool)
    )
    assert some.value == 3 and some.patients.tolist() == [0, 0, 1]
    assert (bootstrap(some).low, bootstrap(some).high) == (2, 5)


def test_the_p_of_a_difference_is_that_of_every_exchange():
    ours, theirs = [3.0, 1.0, 4.0, 1.0, 5.0], [2.0, 1.0, 1.0, 2.0, 1.0]
    signs = np.array(np.meshgrid(*[[1, -1]] * 5)).reshape(5, -1).T
    exchanged = np.abs((signs * (np.array(ours) - np.array(theirs))).mean(axis=1))
    exact = (exchanged >= abs(np.mean(ours) - np.mean(theirs)) - 1e-9).mean()
    found = randomization_p(mean_of(ours), mean_of(theirs), resamples=20_000)
    assert found == pytest.approx(exact, abs=0.01)
    assert paired_bootstrap(mean_of(ours), mean_of(theirs), resamples=20_000).p == found


def test_outputs_of_one_patient_are_exchanged_together():
    ours, theirs = np.ones(20), np.zeros(20)
    alone = randomization_p(mean_of(ours), mean_of(theirs))
    two = randomization_p(
        *(by_patient(mean_of(one), ["a"] * 10 + ["b"] * 10) for one in (ours, theirs))
    )
    assert alone < 0.001 and two == pytest.approx(0.5, abs=0.02)


def test_p_is_uniform_where_two_systems_are_alike():
    rng = np.random.default_rng(10)
    found = []
    for _ in range(200):
        labels = rng.random(60) < 0.4
        ours, theirs = (auc_statistic(labels, labels + rng.normal(0, 2, 60)) for _ in range(2))
        found.append(randomization_p(ours, theirs, resamples=200))
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.1
    assert 0.4 <= np.mean(np.array(found) <= 0.5) <= 0.6


def test_scores_of_other_scales_can_be_exchanged():
    rng = np.random.default_rng(11)
    labels = rng.random(80) < 0.3
    scores = labels + rng.normal(0, 1, 80)
    one, other = auc_statistic(labels, scores), auc_statistic(labels, 100 + 1000 * scores)
    assert randomization_p(one, other, resamples=200) == 1


def test_no_difference_has_p_where_a_score_is_undefined():
    assert randomization_p(mean_of([math.nan]), mean_of([1.0])) is None
