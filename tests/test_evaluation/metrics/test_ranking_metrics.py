import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from db.errors import UserError
from evaluation.metrics.bootstrap import average, bootstrap
from evaluation.metrics.ranking import (
    auc_statistic,
    average_precision,
    average_precision_statistic,
    first_ranks,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
    roc_auc,
)


def random_column(seed, ties):
    rng = np.random.default_rng(seed)
    labels = rng.random(120) < 0.2
    labels[:2] = True, False
    scores = rng.normal(size=120) + labels
    return labels, scores.round(ties) if ties is not None else scores


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [None, 1, 0])
def test_auc_and_average_precision_equal_sklearn(seed, ties):
    labels, scores = random_column(seed, ties)
    assert roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert average_precision(labels, scores) == pytest.approx(
        average_precision_score(labels, scores)
    )


@pytest.mark.parametrize("ties", [None, 0])
def test_auc_and_average_precision_of_a_resample_equal_sklearn_with_weights(ties):
    labels, scores = random_column(7, ties)
    rng = np.random.default_rng(7)
    weights = np.stack([np.bincount(rng.integers(0, 120, 120), minlength=120) for _ in range(6)])
    aucs = auc_statistic(labels, scores).compute(weights.astype(float))
    precisions = average_precision_statistic(labels, scores).compute(weights.astype(float))
    for drawn, auc, precision in zip(weights, aucs, precisions, strict=True):
        truth, values = np.repeat(labels, drawn), np.repeat(scores, drawn)
        assert auc == pytest.approx(roc_auc_score(truth, values))
        assert precision == pytest.approx(average_precision_score(truth, values))


def test_auc_is_as_computed_by_hand():
    # Of the four pairs two are won, one is tied and one is lost.
    assert roc_auc([1, 0, 1, 0], [3, 2, 1, 1]) == pytest.approx(2.5 / 4)
    assert roc_auc([1, 1, 0, 0], [1, 1, 1, 1]) == 0.5
    assert average_precision([1, 0, 1], [3, 2, 1]) == pytest.approx((1 + 2 / 3) / 2)


def test_auc_bears_infinite_scores():
    assert roc_auc([1, 1, 0, 0], [math.inf, 0, -math.inf, -math.inf]) == 1


def test_auc_with_one_kind_of_label_is_undefined():
    assert math.isnan(roc_auc([1, 1], [1, 2]))
    assert math.isnan(roc_auc([0, 0], [1, 2]))
    assert math.isnan(average_precision([0, 0], [1, 2]))


def test_mean_auc_drops_resamples_in_which_an_observation_has_no_positive():
    rng = np.random.default_rng(0)
    rare, common = np.zeros(40, dtype=int), np.arange(40) % 2
    rare[0] = 1
    aucs = [auc_statistic(labels, rng.normal(size=40)) for labels in (rare, common)]
    interval = bootstrap(average(aucs), resamples=3_000)
    assert interval.dropped / 3_000 == pytest.approx((39 / 40) ** 40, abs=0.03)
    assert interval.low <= interval.value <= interval.high


def test_precision_at_k_counts_every_relevant_hit_once():
    relevance = [[1, 0.2, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_allclose(precision_at_k(relevance, 3), [2 / 3, 0, 0])
    np.testing.assert_allclose(precision_at_k(relevance, 4), [3 / 4, 1 / 4, 0])


def test_ndcg_is_as_computed_by_hand():
    [score] = ndcg_at_k([[0.5, 1.0]], 2, pool=[[0, 1.0, 0.5, 0.5]])
    assert score == pytest.approx((0.5 + 1 / math.log2(3)) / (1 + 0.5 / math.log2(3)))


def test_ndcg_equals_sklearn():
    rng = np.random.default_rng(2)
    pool, scores = rng.random((20, 30)).round(1), rng.normal(size=(20, 30))
    hits = np.take_along_axis(pool, np.argsort(-scores, axis=1)[:, :10], axis=1)
    for k in (1, 5, 10):
        ours = ndcg_at_k(hits, k, pool=pool).mean()
        assert ours == pytest.approx(ndcg_score(pool, scores, k=k))


def test_ndcg_holds_what_was_missed_against_the_hits():
    assert ndcg_at_k([[0.5, 0.5]], 2, pool=[[1, 1, 0.5, 0.5]])[0] == pytest.approx(0.5)


def test_ndcg_without_anything_relevant_is_undefined():
    assert np.isnan(ndcg_at_k([[0, 0]], 2, pool=[[0, 0, 0]])).all()


def test_ndcg_allows_a_pool_smaller_than_k():
    assert ndcg_at_k([[1, 0, 0]], 3, pool=[[1, 0]])[0] == 1


def test_first_rank_is_that_of_the_best_relevant_case():
    scores = [[0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.6]]
    relevant = [[0, 0, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert first_ranks(scores, relevant).tolist() == [3, 1, math.inf]


def test_a_constant_score_earns_no_rank():
    assert first_ranks([[0.5, 0.5, 0.5, 0.5]], [[1, 1, 0, 0]]).tolist() == [3]


def test_recall_and_reciprocal_rank_follow_from_the_first_rank():
    ranks = [1, 2, 5, math.inf]
    assert recall_at_k(ranks, 2).tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(reciprocal_rank(ranks), [1, 1 / 2, 1 / 5, 0])


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (lambda: roc_auc([], []), "at least one study"),
        (lambda: roc_auc([1, 0], [0.5]), "one label and one score"),
        (lambda: roc_auc([1, 2], [0.5, 0.4]), "0 or 1"),
        (lambda: average_precision([1, 0], [math.nan, 0.4]), "1 of 2 scores are NaN"),
        (lambda: precision_at_k([], 1), "relevance of the hits"),
        (lambda: precision_at_k([[1, 0]], 3), "needs 3 hits per study, got 2"),
        (lambda: precision_at_k([[1, 0]], 0), "k must be 1 or more, got 0"),
        (lambda: ndcg_at_k([[1.0]], 1, pool=[[0.5]]), "contain the hits"),
        (lambda: ndcg_at_k([[-1.0]], 1, pool=[[1.0]]), "0 or more"),
        (lambda: ndcg_at_k([[1.0]], 1, pool=[[1.0], [1.0]]), "a pool of 2"),
        (lambda: first_ranks([[1.0, 2.0]], [[1]]), "shape"),
        (lambda: recall_at_k([], 1), "at least one study"),
        (lambda: reciprocal_rank([0]), "from 1 up"),
    ],
)
def test_input_that_cannot_be_scored_is_refused_in_one_sentence(score, words):
    with pytest.raises(UserError, match=words):
        score()
