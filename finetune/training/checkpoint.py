"""A checkpoint: everything a run needs to continue as if never interrupted, in one file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from db.errors import UserError
from db.files import replacing


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state after an optimizer step; never written after a loss that is NaN or infinite."""

    step: int
    weights: Mapping[str, Any]
    """The learner's state: weights, and whatever else changes in training."""
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    random_state: Tensor
    cuda_random_state: Tensor | None
    best_loss: float | None
    best_step: int
    seconds: float
    """Of training so far."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Settings and data that must be equal for the run to continue."""

    def save(self, path: Path) -> None:
        with replacing(path) as fresh:
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
                f"{path} cannot be read ({reason}): delete the directory and train again"
            ) from error
