"""When a server that fails is asked again."""

import logging

import pytest

from generator.engines.circuit import Circuit, RetryBudget
from generator.vision_language import ModelUnavailableError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_circuit_opens_after_failures_in_a_row_and_lets_one_request_through_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    circuit = Circuit("drawn", failures=3, seconds=30, clock=clock)
    with caplog.at_level(logging.WARNING):
        for outcome in (circuit.failed, circuit.failed, circuit.succeeded, circuit.failed):
            outcome()
        circuit.check()
        circuit.failed()
        circuit.check()
        circuit.failed()
        with pytest.raises(ModelUnavailableError, match="asked again in 30 seconds") as caught:
            circuit.check()
        assert caught.value.retry_after == 30
        clock.now += 30
        circuit.check()
        with pytest.raises(ModelUnavailableError):  # the one request is under way
            circuit.check()
        circuit.failed()
        clock.now += 29
        with pytest.raises(ModelUnavailableError, match="asked again in 1 seconds"):
            circuit.check()
        clock.now += 1
        circuit.check()
        circuit.succeeded()
        circuit.check()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "failed 3 times" in caplog.messages[0] and "answers again" in caplog.messages[1]


def test_retries_are_bounded_for_all_requests_together() -> None:
    budget = RetryBudget(tokens=2, per_success=0.5)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    budget.succeeded()
    assert not budget.take()
    budget.succeeded()
    assert budget.take() and not budget.take()
    for _ in range(99):
        budget.succeeded()
    assert [budget.take() for _ in range(3)] == [True, True, False]
