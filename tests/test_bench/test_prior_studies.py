"""The measure of what is said of a prior study."""

from pathlib import Path

import numpy as np
import pytest

from bench.prior_studies.counts import (
    NEVER,
    RANDOM,
    RULE,
    change_table,
    choose_least,
    direction,
    judge,
    pair_share,
)
from bench.prior_studies.pairs import (
    LabelledStudy,
    Pair,
    constructed,
    follow_ups,
    nih_labels,
)
from db.app.observations import Observation
from db.labels import FINDINGS, OBSERVATIONS
from generator.assessment.assess import Assessment
from indexer.sources.nih_folders import NihImage


def study(patient: str, there: tuple[str, ...] = (), seen: tuple[str, ...] = ()) -> LabelledStudy:
    """``there`` by its labels, ``seen`` by its assessment."""
    observations = []
    for name in OBSERVATIONS:
        p = 0.9 if name in seen else 0.02
        observations.append(
            Observation(
                name=name,
                probability=p,
                low=p - 0.01,
                high=p + 0.01,
                state="present" if name in seen else "absent",
                language_model=None,
                knn=p,
                knn_low=0,
                knn_high=1,
                label_head=p,
            )
        )
    return LabelledStudy(
        patient=patient,
        views=("PA",),
        labels={name: name in there for name in FINDINGS},
        assessment=Assessment(
            observations=tuple(observations), sensitivity="balanced", calibrated_on=None
        ),
    )


def test_pairs_differ_in_exactly_one_label_or_in_none() -> None:
    normal, edema = study("a"), study("b", ("Edema",))
    both, other = study("c", ("Edema", "Fracture")), study("d")
    differing, alike = constructed([edema, normal, both, other, study("a", ("Edema",))])
    assert all(len(pair.changed) == 1 and pair.rises(pair.changed[0]) for pair in differing)
    assert {(one.before.patient, one.now.patient) for one in alike} == {("a", "d"), ("b", "a")}
    assert all(one.before.patient != one.now.patient for one in differing)
    assert ("b", "c") in {(one.before.patient, one.now.patient) for one in differing}


def test_follow_ups_are_consecutive_images_of_one_view_and_folder() -> None:
    def image(number: int, view: str = "PA") -> NihImage:
        return NihImage(
            path=Path(f"00000061_{number:03}.jpg"),
            folder="nih",
            patient_id="61",
            part="val",
            labels=frozenset(),
            view_position=view,
        )

    images = [image(5), image(2), image(3, "AP"), image(9)]
    studies = [study(str(one.follow_up)) for one in images]
    found = [(one.before.patient, one.now.patient) for one in follow_ups(images, studies)]
    assert found == [("2", "5"), ("5", "9")]
    assert nih_labels(frozenset({"Effusion"}))["Pleural Effusion"]
    assert "Fracture" not in nih_labels(frozenset())


def test_a_change_is_right_where_the_label_changed_so() -> None:
    before = study("a")
    right = Pair(before=before, now=study("b", ("Edema",), ("Edema", "Fracture")))
    found = judge(right, 1.0)
    assert (found.right, found.opposite, found.other) == (1, 0, 1)
    missed = Pair(before=study("a", (), ("Edema",)), now=study("b", ("Edema",)))
    found = judge(missed, 1.0)
    assert (found.right, found.opposite, found.other) == (0, 1, 0)
    assert (direction(right, "Edema"), direction(missed, "Edema")) == (1, 0)
    assert judge(right, 9.0).stated == 0 and judge(right, None).stated == 2
    same = Pair(before=study("a", ("Edema",), ("Edema",)), now=study("b", ("Edema",), ("Edema",)))
    assert (judge(same, 1.0).unchanged, judge(same, 1.0).there) == (1, 1)


def test_the_least_change_is_the_smallest_that_keeps_pairs_of_one_state_quiet() -> None:
    quiet, loud = Pair(before=study("a"), now=study("b")), study("c", (), ("Edema",))
    pairs = [quiet, quiet, quiet, Pair(before=study("a"), now=loud)]
    assert choose_least(pairs, wanted=0.75) == 0.0
    # The log-odds of 0.9 and 0.02 are 6.1 apart: no least change of the grid hides that.
    assert choose_least(pairs, wanted=0.9) == 4.0


def test_a_pair_counts_as_often_as_both_its_patients_are_drawn() -> None:
    pairs = [
        Pair(before=study("a"), now=study("b")),
        Pair(before=study("a"), now=study("c")),
        Pair(before=study("c"), now=study("c")),
    ]
    share = pair_share([1, 0, 1], [1, 1, 1], pairs)
    weights = np.array([[1, 1, 1], [2, 3, 1], [0, 1, 2]], float)  # of a, b and c
    assert share.compute(weights) == pytest.approx([2 / 3, (6 + 1) / (6 + 2 + 1), 1.0])


def test_trivial_rules_stand_beside_the_figures() -> None:
    before, now = study("a"), study("b", ("Edema",), ("Edema",))
    pairs = [Pair(before=before, now=now)] * 4
    alike = [Pair(before=before, now=study("c"))] * 4
    rows = change_table("t", pairs, alike, 1.0, resamples=50).rows
    first = rows["direction right, all 4 label changes"]
    assert (first[RULE].interval.value, first[RANDOM].interval.value) == (1.0, 0.5)
    still = rows["no change stated, 4 pairs of one state"]
    assert [still[name].interval.value for name in (RULE, RANDOM, NEVER)] == [1.0, 0.0, 1.0]
