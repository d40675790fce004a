"""What a run needs to go on as if it had never stopped, in one file."""

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from db.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state after an optimizer step; it is never written after a loss that was no number."""

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    random_state: Tensor
    cuda_random_state: Tensor | None
    best_loss: float | None
    best_step: int
    seconds: float
    """Of training so far."""

    def save(self, path: Path) -> None:
        waiting = path.with_name(path.name + ".tmp")
        torch.save({name: getattr(self, name) for name in self.__dataclass_fields__}, waiting)
        waiting.replace(path)

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
