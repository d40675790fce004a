"""Votes: similarity counts, and so does how many hits stand behind a share."""

import math

import pytest

from db.errors import UserError
from db.index.store import Case
from db.labels import OBSERVATIONS, Labels
from retriever.knn_votes import vote
from retriever.results import Hit


def hits(*scored: tuple[float, Labels]) -> list[Hit]:
    return [
        Hit(
            rank=rank,
            score=score,
            case=Case(
                case_id=rank,
                source="local",
                study_id=f"s{rank}",
                patient_id=None,
                indication="",
                findings="",
                impression="",
                labels=labels,
                sentences=(),
                images=(),
            ),
        )
        for rank, (score, labels) in enumerate(scored, start=1)
    ]


EDEMA: Labels = {"Edema": "positive"}
MAYBE: Labels = {"Edema": "uncertain"}
NO_EDEMA: Labels = {"Edema": "negative"}


def test_every_observation_has_a_vote_and_its_supporters() -> None:
    votes = vote(hits((0.9, EDEMA), (0.8, NO_EDEMA), (0.7, MAYBE), (0.6, {})))
    assert tuple(votes) == OBSERVATIONS
    assert votes["Edema"].supporting_ranks == (1, 3)
    assert votes["Pneumonia"].probability == 0 and votes["Pneumonia"].supporting_ranks == ()


def test_votes_are_weighted_by_similarity() -> None:
    step = math.exp(-1)
    votes = vote(hits((0.9, EDEMA), (0.8, {})), temperature=0.1)
    assert votes["Edema"].probability == pytest.approx(1 / (1 + step))
    even = vote(hits((0.9, EDEMA), (0.8, {})), temperature=math.inf)
    assert even["Edema"].probability == pytest.approx(0.5)
    nearest = vote(hits((0.9, EDEMA), (0.8, {})), temperature=1e-6)
    assert nearest["Edema"].probability == pytest.approx(1)


def test_equal_weights_give_the_wilson_interval() -> None:
    one = vote(hits(*[(0.5, EDEMA)] * 3, *[(0.5, {})] * 7))["Edema"]
    assert one.probability == pytest.approx(0.3)
    assert (one.low, one.high) == (pytest.approx(0.1078, abs=1e-4), pytest.approx(0.6032, abs=1e-4))


def test_more_hits_narrow_the_interval() -> None:
    few = vote(hits((0.5, EDEMA), (0.5, {})))["Edema"]
    many = vote(hits(*[(0.5, EDEMA)] * 20, *[(0.5, {})] * 20))["Edema"]
    assert few.probability == pytest.approx(many.probability)
    assert few.low < many.low < 0.5 < many.high < few.high
    single = vote(hits((0.5, EDEMA)))["Edema"]
    assert single.high == 1 and single.low < 0.25
    # A hit that outweighs all others is as good as alone.
    ruled = vote(hits((0.9, EDEMA), *[(0.1, {})] * 30), temperature=0.01)["Edema"]
    assert ruled.low == pytest.approx(single.low, abs=1e-6)


def test_the_interval_contains_the_share_and_stays_within_0_and_1() -> None:
    for count in range(6):
        one = vote(hits(*[(0.5, EDEMA)] * count, *[(0.4, {})] * (5 - count)))["Edema"]
        assert 0 <= one.low <= one.probability <= one.high <= 1


def test_voting_without_hits_or_temperature_is_refused() -> None:
    with pytest.raises(UserError, match="no hits to vote"):
        vote([])
    with pytest.raises(UserError, match="temperature must be above 0, not 0"):
        vote(hits((0.5, {})), temperature=0)
