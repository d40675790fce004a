import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from db.errors import UserError
from db.labels import FINDINGS, NO_FINDING, OBSERVATIONS, STATES, positives
from evaluation.metrics.bootstrap import bootstrap, paired_bootstrap
from evaluation.metrics.labels import (
    f1_statistic,
    highest_overlaps,
    label_counts,
    label_f1,
    label_overlap,
)


def random_labels(rng, count, share=0.4):
    return [
        {name: str(rng.choice(STATES)) for name in OBSERVATIONS if rng.random() < share}
        for _ in range(count)
    ]


def test_label_f1_is_as_computed_by_hand():
    references = [
        {"Edema": "positive", "Cardiomegaly": "negative"},
        {"Edema": "uncertain", "Fracture": "positive"},
        {NO_FINDING: "positive"},
    ]
    predictions = [
        {"Edema": "uncertain", "Cardiomegaly": "positive"},
        {"Edema": "negative"},
        {NO_FINDING: "positive", "Edema": "negative"},
    ]
    score = label_f1(references, predictions)
    # One hit (Edema), one false alarm (Cardiomegaly), two misses (Edema, Fracture).
    assert score.micro.f1 == pytest.approx(2 / 5)
    assert score.micro.precision == pytest.approx(1 / 2)
    assert score.micro.recall == pytest.approx(1 / 3)
    assert score.micro.positives == 3
    assert score.per_observation["Edema"].f1 == pytest.approx(2 / 3)
    assert score.per_observation["Cardiomegaly"].f1 == 0
    assert score.per_observation["Fracture"].f1 == 0
    assert score.macro == pytest.approx((2 / 3 + 0) / 2)
    assert score.no_finding.f1 == 1


def test_no_finding_stays_out_of_micro_and_macro():
    findings = [{"Edema": "positive"}, {}]
    with_no_finding = [{"Edema": "positive"}, {NO_FINDING: "positive"}]
    alone, beside = label_f1(findings, findings), label_f1(findings, with_no_finding)
    assert (alone.micro, alone.macro) == (beside.micro, beside.macro)
    assert NO_FINDING not in beside.per_observation
    assert list(beside.per_observation) == list(FINDINGS)


def test_label_f1_equals_sklearn():
    rng = np.random.default_rng(0)
    references, predictions = random_labels(rng, 200), random_labels(rng, 200)
    truth, guess = positives(references, FINDINGS), positives(predictions, FINDINGS)
    score = label_f1(references, predictions)
    assert score.micro.f1 == pytest.approx(f1_score(truth, guess, average="micro"))
    assert score.micro.precision == pytest.approx(precision_score(truth, guess, average="micro"))
    assert score.micro.recall == pytest.approx(recall_score(truth, guess, average="micro"))
    assert score.macro == pytest.approx(f1_score(truth, guess, average="macro"))
    each = [score.per_observation[name].f1 for name in FINDINGS]
    np.testing.assert_allclose(each, f1_score(truth, guess, average=None))
    bare = [positives(labels, [NO_FINDING])[:, 0] for labels in (references, predictions)]
    assert score.no_finding.f1 == pytest.approx(f1_score(*bare))


def test_uncertain_is_positive_and_negative_is_as_good_as_unmentioned():
    labels = [
        {"Edema": "positive"},
        {"Edema": "uncertain"},
        {"Edema": "negative"},
        {},
    ]
    assert positives(labels, ["Edema"])[:, 0].tolist() == [True, True, False, False]
    assert positives(labels).shape == (4, 14)


def test_a_system_that_names_nothing_has_f1_nought_and_no_precision():
    score = label_f1([{"Edema": "positive"}], [{}])
    assert score.micro.f1 == 0
    assert math.isnan(score.micro.precision)


def test_f1_without_a_positive_on_either_side_is_undefined():
    score = label_f1([{}], [{"Edema": "negative"}])
    assert math.isnan(score.micro.f1)
    assert math.isnan(score.macro)
    assert math.isnan(score.no_finding.recall)


def test_macro_counts_only_observations_that_a_reference_has():
    references = [{"Edema": "positive"}, {}]
    assert label_f1(references, [{"Edema": "positive", "Fracture": "positive"}, {}]).macro == 1


def test_counts_are_kept_for_each_study():
    counts = label_counts([{"Edema": "positive"}, {}], [{}, {"Edema": "uncertain"}])
    assert counts.shape == (2, 13, 3)
    edema = FINDINGS.index("Edema")
    assert counts[:, edema].tolist() == [[0, 0, 1], [0, 1, 0]]
    assert counts.sum() == 2


def test_f1_of_a_resample_equals_f1_of_the_studies_written_out():
    rng = np.random.default_rng(4)
    references, predictions = random_labels(rng, 30), random_labels(rng, 30)
    drawn = rng.integers(0, 30, 30)
    weights = np.bincount(drawn, minlength=30)[None].astype(float)
    counts = label_counts(references, predictions)
    written_out = label_f1([references[i] for i in drawn], [predictions[i] for i in drawn])
    assert f1_statistic(counts).compute(weights)[0] == pytest.approx(written_out.micro.f1)
    assert f1_statistic(counts, "macro").compute(weights)[0] == pytest.approx(written_out.macro)


def test_a_better_system_has_an_interval_above_nought():
    rng = np.random.default_rng(5)
    references, chance = random_labels(rng, 150), random_labels(rng, 150)
    ours = f1_statistic(label_counts(references, references))
    theirs = f1_statistic(label_counts(references, chance))
    assert paired_bootstrap(ours, theirs, resamples=500).low > 0


def test_resamples_without_a_rare_observation_are_dropped_and_counted():
    labels = [{"Fracture": "positive"}] + [{}] * 9
    fracture = FINDINGS.index("Fracture")
    counts = label_counts(labels, labels)[:, [fracture]]
    interval = bootstrap(f1_statistic(counts), resamples=4_000)
    assert (interval.value, interval.low, interval.high) == (1, 1, 1)
    assert interval.dropped / 4_000 == pytest.approx(0.9**10, abs=0.03)


def test_label_overlap_is_the_jaccard_index():
    queries = np.array([[1, 1, 0], [0, 0, 0]], dtype=bool)
    cases = np.array([[1, 1, 0], [1, 0, 1], [0, 0, 0]], dtype=bool)
    np.testing.assert_allclose(label_overlap(queries, cases), [[1, 1 / 3, 0], [0, 0, 1]])


@pytest.mark.parametrize("cells", [1, 40, 1 << 22])
def test_the_highest_overlaps_are_the_same_block_by_block(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.metrics.labels._CELLS", cells)
    rng = np.random.default_rng(6)
    queries, cases = rng.random((9, 13)) < 0.3, rng.random((20, 13)) < 0.3
    for k in (1, 5, 20, 30):
        found = np.sort(highest_overlaps(queries, cases, k), axis=1)
        np.testing.assert_array_equal(found, np.sort(label_overlap(queries, cases))[:, -k:])


def test_labels_that_cannot_be_scored_are_refused_in_one_sentence():
    with pytest.raises(UserError, match="at least one study"):
        label_f1([], [])
    with pytest.raises(UserError, match="got 2 for 1"):
        label_f1([{}], [{}, {}])
    with pytest.raises(UserError, match=r"study 1.*'Effusion'"):
        label_f1([{}, {"Effusion": "positive"}], [{}, {}])
    with pytest.raises(UserError, match=r"study 0.*'maybe'"):
        label_f1([{}], [{"Edema": "maybe"}])
    with pytest.raises(UserError, match="same observations"):
        label_overlap(np.zeros((2, 13), dtype=bool), np.zeros((2, 14), dtype=bool))
