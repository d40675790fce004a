"""One probability for an observation from three estimates.

calibration = Calibration.read(adapter_dir / "calibration.json")
calibration.probability("Edema", language_model=0.3, knn=0.1, label_head=0.4)
calibration.operating_points["high"]        # the least probability of what counts as present

The opinions are the model's own yes against no, the votes of the retrieved cases and the encoder's
label head. Logistic regression combines them, with one weight per opinion for all observations and
one offset per observation: few numbers, because val has few positives. An operating point is one
threshold on the result for all observations, which does best on micro-F1 where probabilities are
calibrated (Lipton et al., ECML 2014, arXiv 1402.1892). Fitted by ``evaluation calibrate``.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args

from db.errors import MismatchError, UserError
from db.files import parse_json, write_json
from indexer.encoder.weight_files import local_folder
from indexer.index import Index
from indexer.versions import index_root

CALIBRATION = "calibration.json"

Sensitivity = Literal["high", "balanced", "specific"]
"""Which operating point decides what is present."""

SENSITIVITIES: tuple[Sensitivity, ...] = get_args(Sensitivity)
"""From the lowest threshold to the highest."""

UNFITTED_POINTS: Mapping[Sensitivity, float] = {"high": 0.12, "balanced": 0.2, "specific": 0.4}
"""For probabilities that no one has calibrated."""

LEAST_CHANGE = 3.0
"""Chosen on val for the encoder in ``pretrained``, see ``bench/prior_studies``; the default."""

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
    """Weights of the log-odds of each opinion.

    The default is the mean of retrieved cases and label head: a language model has no weight until
    a fit gives it one, and without a weight it is not asked for a report.
    """

    language_model: float = 0.0
    knn: float = 0.5
    label_head: float = 0.5
    offsets: Mapping[str, float] = field(default_factory=dict)
    """Observation to its offset; 0 for one that is not listed."""
    fitted_on: str = "nothing"
    operating_points: Mapping[Sensitivity, float] = field(
        default_factory=lambda: dict(UNFITTED_POINTS)
    )
    """The least probability of a present observation; it rises from ``high`` to ``specific``."""
    least_change: float = LEAST_CHANGE
    """The least difference of log-odds between two studies of a patient that is a change."""
    encoder_sha256: str | None = None
    """Of the weights whose label scores it was fitted to; None where it was not recorded."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """A missing file gives the mean. Raises UserError for one that cannot be read."""
        if not path.is_file():
            return cls()
        try:
            stored = parse_json(path.read_text(encoding="utf-8"))
            read = cls(**{_FORMER_NAMES.get(key, key): value for key, value in stored.items()})
            weights = (read.language_model, read.knn, read.label_head)
            numbers = (*weights, read.least_change, *read.offsets.values())
            if not all(abs(number) <= _MOST for number in numbers):
                raise ValueError("a weight is out of range")
            points = [read.operating_points[name] for name in SENSITIVITIES]
            if not 0 < points[0] <= points[1] <= points[2] < 1:
                raise ValueError("the operating points do not rise between 0 and 1")
            return read
        except (ValueError, TypeError, AttributeError, KeyError, OSError) as error:
            raise UserError(f"{path} cannot be read: calibrate the adapter again") from error

    @classmethod
    def of(cls, name: str | Path) -> Self:
        """The calibration in the folder of an adapter or a model, as `read` reads it."""
        return cls.read((local_folder(name) or Path(name)) / CALIBRATION)

    @classmethod
    def find(cls, index: Index, adapter: str | Path | None = None) -> Self:
        """The calibration of an index, else that of the adapter, else that of the encoder.

        Without any of them the mean is taken. Raises UserError for one that cannot be read, and
        MismatchError for one that was fitted to another encoder.
        """
        encoder = index.manifest.encoder
        names = [name for name in (adapter, encoder.name) if name is not None]
        folders = [index_root(index.path), *(local_folder(name) for name in names)]
        paths = [folder / CALIBRATION for folder in folders if folder is not None]
        for path in filter(Path.is_file, paths):
            found = cls.read(path)
            if found.encoder_sha256 not in (None, encoder.weights_sha256):
                raise MismatchError(
                    f"{path} was fitted to another encoder than that of {index.path}: run "
                    "'evaluation calibrate' on this index, or remove the file"
                )
            return found
        return cls()

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))

    @property
    def name(self) -> str | None:
        """The studies it was fitted on; None where it was not fitted."""
        return None if self.fitted_on == Calibration.fitted_on else self.fitted_on

    def probability(
        self,
        name: str,
        *,
        knn: float | None,
        label_head: float | None,
        language_model: float | None = None,
    ) -> float:
        """The probability of an observation, 0..1.

        The opinions that are there share the weight of one that is None.
        """
        opinions = [
            (weight, opinion)
            for weight, opinion in (
                (self.language_model, language_model),
                (self.knn, knn),
                (self.label_head, label_head),
            )
            if opinion is not None
        ]
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
