"""The measure of where score maps lie."""

import numpy as np
import pytest

from bench.score_maps.counts import (
    MAP,
    OTHER_FINDINGS,
    OTHER_IMAGES,
    on_side,
    points_into,
    table,
)
from bench.score_maps.places import Place, half, inside, sided
from db.labels import OBSERVATIONS
from indexer.encoder.spec import ClassMaps
from indexer.sources.records import BoundingBox

EFFUSION, EDEMA = (OBSERVATIONS.index(name) for name in ("Pleural Effusion", "Edema"))


def maps(*columns: int) -> ClassMaps:
    """The effusion's score rests on these columns of 8, the edema's on those mirrored."""
    parts = np.full((len(OBSERVATIONS), 8, 8), -1.0, np.float32)
    for column in columns:
        parts[EFFUSION, 2:6, column] = 1
        parts[EDEMA, 2:6, 7 - column] = 1
    return ClassMaps(parts=parts, box=(0, 0, 1, 1))


def test_a_sentence_counts_where_it_states_an_observation_on_one_side_alone() -> None:
    report = (
        "Small left pleural effusion. No right pleural effusion. Bilateral atelectasis. "
        "Right lower lobe consolidation and left pleural effusion. Possible right pneumonia. "
        "Cardiomegaly."
    )
    assert list(sided(report)) == [
        ("Pleural Effusion", "left"),
        ("Consolidation", "right"),
        ("Pleural Effusion", "left"),
    ]


def test_the_left_of_the_image_is_the_right_of_the_patient() -> None:
    assert half("right")[:, :32].all() and not half("right")[:, 32:].any()
    found = np.zeros((64, 64), np.float32)
    found[:, 5] = 1
    assert on_side(found, half("right")) == 1 and on_side(found, half("left")) == 0
    assert on_side(np.zeros((64, 64), np.float32), half("left")) == 0.5


def test_a_map_points_into_a_box_where_its_highest_place_lies_in_it() -> None:
    box = BoundingBox(name="Effusion", left=100, top=50, width=100, height=25)
    within = inside([box], 200, 400)
    assert np.argwhere(within).min(axis=0) == pytest.approx([16, 16])
    assert np.argwhere(within).max(axis=0) + 1 == pytest.approx([24, 32])
    found = np.zeros((64, 64), np.float32)
    assert points_into(found, within) == 0
    found[20, 20] = 1
    assert points_into(found, within) == 1
    found[40, 40] = 2
    assert points_into(found, within) == 0


def test_a_map_is_counted_beside_its_controls() -> None:
    images = [maps(1), maps(1), maps(6), maps(1)]
    places = [
        Place(image=n, patient=f"p{n}", observation="Pleural Effusion", wanted=half("right"))
        for n in range(4)
    ]
    found = table("sides", places, images, on_side, resamples=50)
    row = found.rows["all (4)"]
    assert row[MAP].interval.value == 0.75
    assert row[OTHER_IMAGES].interval.value == 0.75
    # 11 other findings are nowhere, which counts half, and one is on the other side
    assert row[OTHER_FINDINGS].interval.value == pytest.approx((11 * 0.5 + 0.25) / 12)
    assert row[MAP].interval.low < 0.75 < row[MAP].interval.high
    assert found.rows["Pleural Effusion (4)"][MAP].count == (3, 4)
    minus = found.rows["all: map minus"][OTHER_FINDINGS].interval
    assert minus.value == pytest.approx(0.75 - (11 * 0.5 + 0.25) / 12)
