"""The loop that all trainers share, with a line fitted to points."""

import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from db.errors import MismatchError, UserError
from finetune.training.checkpoint import Checkpoint
from finetune.training.devices import Devices
from finetune.training.learner import Learner, Pace, RunEnd
from finetune.training.log import read_log
from finetune.training.loop import TrainingLoop
from finetune.training.schedules import Position, cosine, linear, timed_cosine
from finetune.training.stopping import Stopping, StopReason

PACE = Pace(steps=12, evaluate_every=4, save_every=2, max_grad_norm=1.0)


class Line(Learner):
    """y = 3 x, with dropout that is drawn anew at each step."""

    losses = ("loss",)

    def __init__(self, spoilt: int | None = None, scores: list[float] | None = None) -> None:
        torch.manual_seed(1)
        self.layer = nn.Linear(4, 1)
        self.spoilt, self.scores = spoilt, scores or []
        self.best: list[tuple[int, float | None]] = []
        self.counted = 0

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.layer.parameters())

    def steps(self, start: int) -> Iterator[list[Tensor]]:
        for step in range(start, 1000):
            x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
            yield [x[:4], x[4:] * (float("nan") if step == self.spoilt else 1.0)]

    def loss(self, batch: Tensor, at: Position) -> tuple[Tensor, Mapping[str, Tensor]]:
        seen = nn.functional.dropout(batch, 0.2)
        loss = ((self.layer(seen)[:, 0] - 3 * batch.sum(dim=1)) ** 2).mean() / 2
        return loss, {"loss": loss}

    def evaluate(self) -> dict[str, Any]:
        return {"val_loss": self.scores.pop(0)} if self.scores else {}

    def state(self) -> dict[str, Any]:
        return {**self.layer.state_dict(), "counted": self.counted}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.counted = state["counted"]
        self.layer.load_state_dict({k: v for k, v in state.items() if k != "counted"})

    def stepped(self) -> None:
        self.counted += 1

    def keep(self, step: int, val_loss: float | None) -> None:
        self.best.append((step, val_loss))


def run(
    learner: Line, folder: Path, pace: Pace = PACE, *, about: str = "", pause: float | None = None
) -> RunEnd:
    folder.mkdir(exist_ok=True)
    return TrainingLoop(
        learner,
        torch.optim.AdamW(learner.parameters, lr=0.05),
        pace,
        schedule=linear(0.25),
        log=folder / "log.jsonl",
        checkpoint=folder / "checkpoint.pt",
        devices=Devices(device=torch.device("cpu")),
        show=lambda line: None,
        about={"settings": about},
    ).run(pause_after=pause)


def test_a_run_paused_after_every_step_ends_with_the_bytes_of_one_left_alone(
    tmp_path: Path,
) -> None:
    whole = Line()
    assert run(whole, tmp_path / "whole").finished
    for step in range(1, 13):
        part = Line()
        end = run(part, tmp_path / "parts", pause=-1.0)
        assert (end.step, end.finished) == (step, step == 12)
    assert part.counted == whole.counted == 12
    for mine, theirs in zip(part.parameters, whole.parameters, strict=True):
        assert torch.equal(mine, theirs)
    logs = [read_log(tmp_path / name / "log.jsonl") for name in ("whole", "parts")]
    assert [line["loss"] for line in logs[0]] == [line["loss"] for line in logs[1]]


def test_a_log_takes_back_the_steps_after_the_checkpoint(tmp_path: Path) -> None:
    def fail(line: Mapping[str, Any]) -> None:
        raise KeyboardInterrupt

    broken = Line()
    broken.stepped = lambda: fail({}) if broken.counted == 7 else Line.stepped(broken)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(broken, tmp_path)
    assert len(read_log(tmp_path / "log.jsonl")) == 7
    run(Line(), tmp_path)
    assert [line["step"] for line in read_log(tmp_path / "log.jsonl")] == [*range(1, 13)]


def test_a_nan_stops_the_run_and_the_checkpoint_before_it_stays(tmp_path: Path) -> None:
    for log_every in (1, 3):
        folder = tmp_path / str(log_every)
        with pytest.raises(UserError, match=r"loss is NaN or infinite at step .* lower learning"):
            run(Line(spoilt=8), folder, replace(PACE, log_every=log_every, mean_over=log_every))
        found = Checkpoint.load(folder / "checkpoint.pt")
        assert found is not None and found.step == 8
        assert all(torch.isfinite(found.weights[name]).all() for name in ("weight", "bias"))


def test_the_weights_with_the_lowest_validation_loss_are_kept(tmp_path: Path) -> None:
    learner = Line(scores=[2.0, 1.0, 3.0])
    end = run(learner, tmp_path)
    assert learner.best == [(4, 2.0), (8, 1.0)] and (end.best_step, end.best_loss) == (8, 1.0)
    with pytest.raises(UserError, match="validation loss is NaN or infinite at step 4"):
        run(Line(scores=[float("nan")]), tmp_path / "other")


def test_a_run_of_other_settings_is_not_resumed(tmp_path: Path) -> None:
    run(Line(), tmp_path, about="one", pause=-1.0)
    with pytest.raises(MismatchError, match="other settings or other data"):
        run(Line(), tmp_path, about="two")


def test_a_run_ends_with_its_seconds_also_when_it_was_paused(tmp_path: Path) -> None:
    class Slow(Line):
        def stepped(self) -> None:
            time.sleep(0.02)

    pace = replace(PACE, steps=100_000, seconds=0.1)
    assert not run(Slow(), tmp_path, pace, pause=0.01).finished
    end = run(Slow(), tmp_path, pace)
    assert end.finished and 2 <= end.step < 100_000


def test_learning_rates_rise_and_fall() -> None:
    def rates(schedule: Any) -> list[float]:
        return [
            schedule(2.0, Position(step=step, total=10, progress=step / 10)) for step in range(10)
        ]

    for schedule in (linear(0.2), cosine(0.2, floor=1e-3), timed_cosine(0.2)):
        found = rates(schedule)
        top = found.index(max(found))
        assert found[: top + 1] == sorted(found[: top + 1]), schedule
        assert found[top:] == sorted(found[top:], reverse=True), schedule
        assert max(found) == pytest.approx(2.0, rel=2e-3) and 0 < min(found) < 1.1
    assert rates(linear(0.2))[:3] == [1.0, 2.0, 2.0]


def test_better_weights_that_were_saved_after_the_checkpoint_are_not_replaced(
    tmp_path: Path,
) -> None:
    """By a run that was killed between the two, and resumed."""
    run(Line(), tmp_path, pause=-1.0)
    learner = Line(scores=[2.0, 1.0, 0.5])
    learner.kept_score = lambda: (8, 1.0)  # type: ignore[method-assign]
    end = run(learner, tmp_path)
    assert learner.best == [(12, 0.5)] and (end.best_step, end.best_loss) == (12, 0.5)


def test_weights_that_are_nan_after_the_last_step_are_neither_kept_nor_saved(
    tmp_path: Path,
) -> None:
    class Broken(Line):
        def stepped(self) -> None:
            if self.counted == 11:
                self.layer.weight.data[:] = float("nan")
            super().stepped()

    learner = Broken()
    with pytest.raises(UserError, match="a weight is NaN or infinite at step 12"):
        run(learner, tmp_path)
    found = Checkpoint.load(tmp_path / "checkpoint.pt")
    assert found is not None and found.step == 10
    assert [step for step, _ in learner.best] == [4, 8]


def test_an_evaluation_that_a_signal_left_out_is_made_up_for(tmp_path: Path) -> None:
    class Stopped(Line):
        def stepped(self) -> None:
            super().stepped()
            if self.counted == 4:
                signal.raise_signal(signal.SIGTERM)

    first = Stopped(scores=[9.0])
    with pytest.raises(SystemExit) as ended:
        run(first, tmp_path)
    assert ended.value.code == 143 and first.best == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    second = Line(scores=[2.0, 1.0, 3.0])
    assert run(second, tmp_path).finished
    assert second.best == [(4, 2.0), (8, 1.0)]
    lines = read_log(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines] == [*range(1, 13)]
    assert [line["step"] for line in lines if "val_loss" in line] == [4, 8, 12]


def test_a_limit_leaves_time_for_the_evaluation_and_the_files() -> None:
    stopping = Stopping(Devices(device=torch.device("cpu")), limit=100.0, signals=False)
    stopping.evaluation_steps = 20.0
    stopping.passed = lambda: 50.0  # type: ignore[method-assign]
    stopping.look(steps=50)
    assert stopping.reason == StopReason.NONE  # 50 left: a step, 20 for scores, 5 for files
    stopping.look(steps=50, evaluates=True)
    assert stopping.reason == StopReason.NONE
    stopping.passed = lambda: 74.0  # type: ignore[method-assign]
    stopping.look(steps=74)
    assert stopping.reason == StopReason.TIME
    stopping.passed = lambda: 80.0  # type: ignore[method-assign]
    stopping.look(steps=80)
    assert stopping.reason == StopReason.TIME_IS_SHORT
