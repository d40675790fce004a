"""A checkpoint: everything a run needs to continue as if never interrupted, in one file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Self

import torch
from torch import Tensor

from db.errors import UserError
from db.files import replacing, writing
from finetune.training.devices import Devices
from finetune.training.learner import Learner


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state after an optimizer step; never written after a loss that is NaN or infinite."""

    step: int
    weights: Mapping[str, Any]
    """The learner's state: weights, and whatever else changes in training."""
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    random_state: Tensor
    """Of every process, one a row."""
    cuda_random_state: Tensor | None
    best_loss: float | None
    best_step: int
    seconds: float
    """Of training so far."""
    evaluated: bool = True
    """False where the evaluation that is due after this step is left to the resumed run."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Settings and data that must be equal for the run to continue."""

    @classmethod
    def of(
        cls,
        learner: Learner,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        devices: Devices,
        **progress: Any,
    ) -> Self:
        """The state of a run now; every process takes part."""
        cuda = devices.device.type == "cuda"
        return cls(
            weights=learner.state(),
            optimizer=optimizer.state_dict(),
            scaler=scaler.state_dict(),
            random_state=devices.gather(torch.get_rng_state()),
            cuda_random_state=devices.gather(torch.cuda.get_rng_state()) if cuda else None,
            **progress,
        )

    def restore(
        self,
        learner: Learner,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        devices: Devices,
    ) -> None:
        """Put a run back into this state."""
        learner.load_state(self.weights)
        optimizer.load_state_dict(self.optimizer)
        scaler.load_state_dict(self.scaler)
        torch.set_rng_state(_own(self.random_state, devices))
        if self.cuda_random_state is not None and devices.device.type == "cuda":
            torch.cuda.set_rng_state(_own(self.cuda_random_state, devices))

    def save(self, path: Path) -> None:
        """Raises UserError where the file cannot be written; the one of before stays."""
        with writing(path), replacing(path) as fresh:
            torch.save({name: getattr(self, name) for name in self.__dataclass_fields__}, fresh)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint | None":
        """None where there is no file. Raises UserError for a file that cannot be read."""
        if not path.is_file():
            return None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            return cls(**state)
        except (OSError, RuntimeError, TypeError, ValueError, EOFError, UnpicklingError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(
                f"{path} cannot be read ({reason}): name another directory to train in, and start "
                "from weights that were kept with --initial"
            ) from error


def _own(states: Tensor, devices: Devices) -> Tensor:
    """The row of this process; a checkpoint of fewer processes has none for some."""
    rows = states.reshape(-1, states.shape[-1])
    return rows[devices.rank % len(rows)].clone()
