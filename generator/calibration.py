"""From three opinions on an observation to one probability.

calibration = Calibration.read(adapter_dir / "calibration.json")
calibration.probability("Edema", model=0.3, vote=0.1, image=0.4)

The opinions are the model's own yes against no, the votes of the retrieved cases and the encoder's
label head. They are combined by logistic regression, one weight an opinion for all observations
and one offset each: few numbers, for val has few positives. Fitted by ``evaluation calibrate``.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from db.errors import UserError
from indexer.encoder.weight_files import local_folder

CALIBRATION = "calibration.json"
_LEAST = 1e-4
_MOST = 100.0
"""Of a weight or an offset; a fit stays far below it."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Weights of the log-odds of each opinion; the default is their mean."""

    model: float = 1 / 3
    vote: float = 1 / 3
    image: float = 1 / 3
    offsets: Mapping[str, float] = field(default_factory=dict)
    """Observation to what is added; 0 for one that is not named."""
    fitted_on: str = "nothing"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises UserError for a file that cannot be read; one that is not there gives the mean."""
        if not path.is_file():
            return cls()
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if "film" in stored:  # as adapters before 0.2 have it
                stored["image"] = stored.pop("film")
            read = cls(**stored)
            numbers = (read.model, read.vote, read.image, *read.offsets.values())
            if not all(abs(number) <= _MOST for number in numbers):
                raise ValueError("a weight is out of range")
            return read
        except (ValueError, TypeError, AttributeError, OSError) as error:
            raise UserError(f"{path} cannot be read: calibrate the adapter again") from error

    @classmethod
    def of(cls, name: str | Path) -> Self:
        """What lies in the folder of an adapter or a model, as `read` reads it."""
        return cls.read((local_folder(name) or Path(name)) / CALIBRATION)

    def write(self, path: Path) -> None:
        waiting = path.with_name(path.name + ".tmp")
        waiting.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        waiting.replace(path)

    def probability(self, name: str, *, model: float, vote: float, image: float | None) -> float:
        """Of an observation, 0..1; without label scores the other two opinions share the weight."""
        opinions = [(self.model, model), (self.vote, vote)]
        if image is not None:
            opinions.append((self.image, image))
        total = self.model + self.vote + self.image
        given = sum(weight for weight, _ in opinions)
        scale = total / given if given else 0.0
        odds = sum(weight * log_odds(p) for weight, p in opinions) * scale
        odds += self.offsets.get(name, 0.0)
        return 1 / (1 + math.exp(-min(max(odds, -_MOST), _MOST)))


def log_odds(probability: float) -> float:
    """Of a probability, kept away from 0 and 1."""
    p = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(p / (1 - p))
