"""What the training loop trains, how long a run takes, and how it ended."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from finetune.training.schedules import Position


class Learner(ABC):
    """What is trained: model, batches and losses."""

    losses: ClassVar[tuple[str, ...]]
    """Names of the losses in the log."""

    @property
    @abstractmethod
    def parameters(self) -> Sequence[nn.Parameter]:
        """What the optimizer changes, always in the same order."""

    @abstractmethod
    def steps(self, start: int) -> Iterator[Sequence[Any]]:
        """The batches of each optimizer step after ``start`` others, one a forward pass."""

    @abstractmethod
    def loss(self, batch: Any, at: Position) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Of one forward pass: what is propagated back, and the losses to log, by name.

        Those of a step's passes are added up, over all devices.
        """

    @abstractmethod
    def evaluate(self) -> dict[str, Any]:
        """Scores for the log; the weights with the lowest ``val_loss`` are kept."""

    def state(self) -> Mapping[str, Any]:
        """What a checkpoint holds of the learner."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Take up what ``state`` gave."""

    def stepped(self) -> None:  # noqa: B027
        """Called after each optimizer step."""

    def measures(self, at: Position, seconds: float) -> dict[str, float]:
        """More for the log of a step that took ``seconds``."""
        return {}

    def keep(self, step: int, val_loss: float | None) -> None:  # noqa: B027
        """Keep the weights, which are the best so far."""

    def kept(self, step: int) -> str:
        """What is left of a run that stops, of which ``step`` was the best so far."""
        return "the last checkpoint is kept"

    def logged_scores(self) -> None:  # noqa: B027
        """Called when new scores are in the log."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long a run takes, and how often it is logged, evaluated and saved, in steps."""

    steps: int
    seconds: float = 0.0
    """Of training, after which the run ends before its steps are done; 0: no limit."""
    log_every: int = 1
    mean_over: int = 1
    """Steps up to a log line whose mean losses it holds."""
    evaluate_every: int
    save_every: int = 0
    """A checkpoint is also written with each evaluation; 0: neither."""
    save_seconds: float | None = None
    """Between checkpoints; None: they are not written by time."""
    max_grad_norm: float


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    """How a call of the loop ended."""

    step: int
    total: int
    finished: bool
    best_step: int
    best_loss: float | None
