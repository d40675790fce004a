"""What the tests of training share."""

import pytest


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run within a test draws no curves, which takes longer than a tiny model's training; one of
    a fixture of a module does, and a command of its own."""
    monkeypatch.setattr("finetune.adapter.trainer.draw_curves", lambda *given, **options: None)


@pytest.fixture(autouse=True)
def few_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge compares a few short answers."""
    monkeypatch.setattr("finetune.adapter.data.COMPARED", 3)
    monkeypatch.setattr("finetune.adapter.data.COMPARED_TOKENS", 8)
