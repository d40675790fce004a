"""A short form of ``bench/evaluation/coverage.py``."""

import pytest

from bench.evaluation.coverage import BY_PATIENT, BY_STUDY, coverage, main


@pytest.mark.parametrize("studies", [1, 11])
def test_intervals_by_patient_hold_the_truth_about_95_times_in_100(studies: int) -> None:
    found = coverage(sets=150, patients=80, studies=studies, resamples=200)
    for shares in found.values():
        assert 0.88 <= shares[BY_PATIENT] <= 0.99
        if studies == 1:
            assert shares[BY_STUDY] == shares[BY_PATIENT]
        else:
            assert shares[BY_STUDY] < 0.85


def test_too_few_sets_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--sets", "0"]) == 1
    assert "at least one set" in capsys.readouterr().err
