"""The observations of an assessment, and how they compare with the patient's own prior study."""

import datetime
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


ChangeKind = Literal["new", "no longer seen", "unchanged", "more certain", "less certain"]
"""What two assessments can say of a finding. A probability is not a size: none of the kinds says
that a finding is larger or smaller."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """How one finding compares with the patient's own prior study."""

    observation: str
    kind: ChangeKind
    probability: float
    """In this study, 0..1."""
    prior_probability: float
    """In the prior study."""
    low: float
    """Lower end of the 95 % interval of the difference of the two, in -1..1."""
    high: float
    quote: str | None = None
    """The sentence of the prior study's report that says of it what its assessment says; None
    without one."""


@dataclass(frozen=True, kw_only=True)
class PriorStudy:
    """The patient's own earlier study that a report was compared with.

    Its images, headers and report are not kept, but for the sentences that changes quote.
    """

    date: datetime.date | None
    """As the caller gave it or the index has it, never from a header."""
    study_date: datetime.date | None
    """Of the study itself, as the caller gave it."""
    case: str | None
    """``source:study_id`` where it was found in the index."""
    images_sha256: tuple[str, ...]
    """Digests of the decoded images."""
    observations: tuple[Observation, ...]
    """Its assessment, with the calibration and sensitivity of the study's own."""
