"""What the training loop trains, how long a run takes, and how it ended."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from finetune.training.schedules import Position


class Learner(ABC):
    """The model, batches and losses of a training run."""

    losses: ClassVar[tuple[str, ...]]
    """Names of the losses in the log."""
    resumes_anywhere: ClassVar[bool] = True
    """Whether a checkpoint after any step continues the run."""

    @property
    @abstractmethod
    def parameters(self) -> Sequence[nn.Parameter]:
        """What the optimizer changes, always in the same order."""

    @abstractmethod
    def steps(self, start: int) -> Iterator[Sequence[Any]]:
        """The batches of each optimizer step after ``start`` others, one a forward pass."""

    @abstractmethod
    def loss(self, batch: Any, at: Position) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss of one forward pass to back-propagate, and the losses to log by name.

        Both are summed over the passes of a step and over all devices.
        """

    @abstractmethod
    def evaluate(self) -> dict[str, Any]:
        """Scores for the log; the weights with the lowest ``val_loss`` are kept."""

    def evaluation_steps(self) -> float:
        """Return how many optimizer steps take as long as an evaluation, at most."""
        return 0.0

    def hurry(self) -> None:  # noqa: B027
        """Called before the last evaluation of a run whose time is up."""

    def state(self) -> Mapping[str, Any]:
        """Return the learner's part of a checkpoint."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Restore what ``state`` returned."""

    def stepped(self) -> None:  # noqa: B027
        """Called after each optimizer step."""

    def measures(self, at: Position, seconds: float) -> dict[str, float]:
        """Return further values to log for a step that took ``seconds``."""
        return {}

    def keep(self, step: int, val_loss: float | None) -> None:  # noqa: B027
        """Save the weights, which are the best so far."""

    def kept_score(self) -> tuple[int, float] | None:
        """Return step and ``val_loss`` of the weights that are saved already; None for none."""
        return None

    def kept(self, step: int) -> str:
        """Say what remains of a run that stops and whose best step was ``step``."""
        return "the last checkpoint is kept"

    def logged_scores(self) -> None:  # noqa: B027
        """Called when new scores are in the log."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The length of a run, and how often it is logged, evaluated and saved, in steps."""

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
