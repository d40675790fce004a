"""The states of all cases at once."""

from pathlib import Path

import numpy as np

from db.index.store import STATE_CODES, CaseStore
from db.labels import OBSERVATIONS
from tests.support.cases import a_case


def test_the_state_table_has_every_label_of_every_case(tmp_path: Path) -> None:
    reports = ("Small effusion. Heart size is normal.", "", "There may be pneumonia. No effusion.")
    cases = [a_case(number, report) for number, report in enumerate(reports)]
    assert {state for case in cases for state in case.labels.values()} == set(STATE_CODES)
    with CaseStore.create(tmp_path / "cases.sqlite") as store:
        store.add(reversed(cases))
        ids, states = store.state_table()
    assert ids.tolist() == [0, 1, 2]
    expected = [
        [STATE_CODES.get(case.labels.get(name), 0) for name in OBSERVATIONS]  # type: ignore[call-overload]
        for case in cases
    ]
    assert np.array_equal(states, expected)
