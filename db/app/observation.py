"""One observation of an assessment."""

from dataclasses import dataclass
from typing import Literal

ObservationState = Literal["present", "possible", "absent", "not assessable"]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """How one of the 14 observations was assessed: its probability and its three sources, 0..1."""

    name: str
    probability: float
    """From the sources below together."""
    low: float | None = None
    """Lower end of the range of ``probability``: the least that the 95 % interval of ``knn`` and
    the single views give. None, like the next two, for those made before there were states."""
    high: float | None = None
    state: ObservationState | None = None
    """What every text of this study agrees with. ``possible`` is below the operating point, but
    not below that of the next higher sensitivity."""
    language_model: float | None
    """Probability of yes against no from the language model; None without one."""
    knn: float
    """Share of the retrieved cases that name it, weighted by similarity."""
    knn_low: float
    """Lower end of the 95 % interval of ``knn``."""
    knn_high: float
    label_head: float | None
    """From the encoder's label head; None without one."""
    cases: tuple[int, ...] = ()
    """Numbers of the hits that name it."""
    cases_against: tuple[int, ...] = ()
    """Numbers of the hits that deny it."""
