"""How answers are sampled, and which of them become pairs."""

from dataclasses import dataclass, field

from db.errors import UserError
from finetune.preferences.rewards import RewardWeights


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """One pair of a prompt at most: the best of its answers, and the worst."""

    samples: int = 6
    """Answers to a prompt."""
    temperature: float = 0.9
    max_new_tokens: int = 160
    exchanged: float = 0.5
    """Probability of a second prompt for a study, whose cases are those of another image."""
    no_indication: float = 0.5
    """Of an indication left out, where the study has one."""
    least_margin: float = 0.1
    """Of the rewards of a pair."""
    weights: RewardWeights = field(default_factory=RewardWeights)
    seed: int = 42

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise UserError(f"a pair needs 2 samples or more of a prompt, not {self.samples}")
        if not 0 < self.temperature <= 10:
            raise UserError(f"temperature must be above 0 and at most 10, not {self.temperature}")
        if self.max_new_tokens < 1:
            raise UserError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")
        for name in ("exchanged", "no_indication", "least_margin"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
