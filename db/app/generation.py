"""A generation: one stored output, and everything it rests on.

Cases are named by source and study, never by the number a case has inside one index, and the
quoted sentences are kept, so a generation stays true when the index is rebuilt or gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from db.index.store import Section
from db.labels import Labels


@dataclass(frozen=True, kw_only=True)
class StoredCitation:
    """A ``[n]`` as it was resolved when the text was written."""

    number: int
    source: str
    study_id: str
    index_fingerprint: str
    quote: str
    score: float


@dataclass(frozen=True, kw_only=True)
class StoredRemoved:
    """A ``[n]`` that a language model wrote and the check took out."""

    number: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class StoredCheck:
    """What the check of a statement found; see ``generator.grounding.report.Statement``."""

    found_afterwards: bool = False
    added: bool = False
    removed: tuple[StoredRemoved, ...] = ()
    case_support: float | None = None
    image_support: float | None = None
    contradiction: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoredStatement:
    """One sentence; without citations it rests on the image alone."""

    section: Section
    text: str
    labels: Labels = field(default_factory=dict)
    citations: tuple[StoredCitation, ...] = ()
    check: StoredCheck = StoredCheck()


@dataclass(frozen=True, kw_only=True)
class StoredObservation:
    """How likely one of the 14 observations is, and who says so; all in 0..1."""

    name: str
    probability: float
    """Of the opinions below together."""
    model: float | None
    """The language model's yes; None without one."""
    vote: float
    """Share of the retrieved cases that name it, weighted by similarity, with its 95 % interval."""
    vote_low: float
    vote_high: float
    image: float | None
    """Of the encoder's label head; None without one."""
    cases: tuple[int, ...] = ()
    """Numbers of the hits that name it."""


@dataclass(frozen=True, kw_only=True)
class StoredHit:
    """A retrieved case, by the number that citations use."""

    number: int
    source: str
    study_id: str
    score: float


@dataclass(frozen=True, kw_only=True)
class StoredLeftOut:
    """A case that a rule kept from the hits."""

    source: str
    study_id: str
    score: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class StoredOodCheck:
    """Whether the images were of the kind that the index held, as judged then."""

    in_distribution: bool
    score: float
    threshold: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class StoredOrigin:
    """What it takes, beside images, options, index and hits, to make the same text again."""

    program: str
    """Version of this program."""
    encoder: str
    encoder_sha256: str
    """Of its weights."""
    model: str | None = None
    """The language model's name; None where no language model wrote."""
    model_sha256: str | None = None
    adapter: str | None = None
    adapter_sha256: str | None = None
    prompt_version: str | None = None
    seed: int | None = None
    sampling: Mapping[str, object] = field(default_factory=dict)
    """Temperature and the like, as JSON values."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One stored output, with what is needed to see where it came from."""

    id: UUID
    created_at: datetime
    """Aware; stored in UTC."""
    task: str
    """``report``, ``ask``, ``classify`` or ``caption``."""
    text: str
    generator: str
    index_fingerprint: str
    index_source: str
    images_sha256: tuple[str, ...]
    """Digests of the decoded images; the images themselves are not kept."""
    options: Mapping[str, object]
    """Of the search, as JSON values."""
    question: str | None = None
    """What was asked; None but for the task ``ask``."""
    indication: str | None = None
    """Why the images were taken, as the caller told it."""
    notes: tuple[str, ...] = ()
    label_scores: Mapping[str, float] | None = None
    ood: StoredOodCheck | None = None
    """None where nothing could be said, or nobody asked yet."""
    statements: tuple[StoredStatement, ...] = ()
    observations: tuple[StoredObservation, ...] = ()
    """Of the task ``classify``; empty for the others."""
    calibrated_on: str | None = None
    """What their probabilities were fitted on; None where they were not."""
    hits: tuple[StoredHit, ...] = ()
    left_out: tuple[StoredLeftOut, ...] = ()
    created_by: str | None = None
    """The API key that asked, by name; None for those from before there were keys."""
    origin: StoredOrigin | None = None
    """None for those from before it was kept."""

    @property
    def cited(self) -> frozenset[tuple[str, str]]:
        """Source and study id of every cited case."""
        return frozenset((c.source, c.study_id) for s in self.statements for c in s.citations)
