"""One probability for an observation from three estimates.

calibration = Calibration.read(adapter_dir / "calibration.json")
calibration.probability("Edema", language_model=0.3, knn=0.1, label_head=0.4)

The opinions are the model's own yes against no, the votes of the retrieved cases and the encoder's
label head. Logistic regression combines them, with one weight per opinion for all observations and
one offset per observation: few numbers, because val has few positives. Fitted by
``evaluation calibrate``.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from db.errors import UserError
from db.files import parse_json, write_json
from indexer.encoder.weight_files import local_folder

CALIBRATION = "calibration.json"
_FORMER_NAMES = {
    "model": "language_model",
    "vote": "knn",
    "image": "label_head",
    "film": "label_head",
}
"""Keys in the files of adapters made before version 0.2."""
_LEAST = 1e-4
_MOST = 100.0
"""Largest weight or offset; a fit stays far below it."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Weights of the log-odds of each opinion; the default is their mean."""

    language_model: float = 1 / 3
    knn: float = 1 / 3
    label_head: float = 1 / 3
    offsets: Mapping[str, float] = field(default_factory=dict)
    """Observation to its offset; 0 for one that is not listed."""
    fitted_on: str = "nothing"

    @classmethod
    def read(cls, path: Path) -> Self:
        """A missing file gives the mean. Raises UserError for one that cannot be read."""
        if not path.is_file():
            return cls()
        try:
            stored = parse_json(path.read_text(encoding="utf-8"))
            read = cls(**{_FORMER_NAMES.get(key, key): value for key, value in stored.items()})
            numbers = (read.language_model, read.knn, read.label_head, *read.offsets.values())
            if not all(abs(number) <= _MOST for number in numbers):
                raise ValueError("a weight is out of range")
            return read
        except (ValueError, TypeError, AttributeError, OSError) as error:
            raise UserError(f"{path} cannot be read: calibrate the adapter again") from error

    @classmethod
    def of(cls, name: str | Path) -> Self:
        """The calibration in the folder of an adapter or a model, as `read` reads it."""
        return cls.read((local_folder(name) or Path(name)) / CALIBRATION)

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))

    def probability(
        self, name: str, *, language_model: float, knn: float, label_head: float | None
    ) -> float:
        """The probability of an observation, 0..1.

        Without label scores (``label_head`` is None) the other two opinions share their weight.
        """
        opinions = [(self.language_model, language_model), (self.knn, knn)]
        if label_head is not None:
            opinions.append((self.label_head, label_head))
        total = self.language_model + self.knn + self.label_head
        given = sum(weight for weight, _ in opinions)
        scale = total / given if given else 0.0
        odds = sum(weight * log_odds(p) for weight, p in opinions) * scale
        odds += self.offsets.get(name, 0.0)
        return 1 / (1 + math.exp(-min(max(odds, -_MOST), _MOST)))


def log_odds(probability: float) -> float:
    """The log-odds of a probability, clipped away from 0 and 1."""
    p = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(p / (1 - p))
