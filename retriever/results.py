"""What a search gives: hits, and what was left out and why."""

from dataclasses import dataclass

from db.index.store import Case
from db.labels import FINDINGS, Labels
from retriever.ood import OodCheck


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A retrieved case."""

    rank: int
    """From 1; the number that a citation ``[n]`` names."""
    score: float
    """Cosine between the query study and the case, in -1..1."""
    case: Case


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A case that would have been a hit, and the rule that kept it out."""

    source: str
    study_id: str
    score: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """The hits for one study, best first."""

    hits: tuple[Hit, ...]
    left_out: tuple[LeftOut, ...] = ()
    index_fingerprint: str
    source: str
    """Of the index."""
    images_sha256: tuple[str, ...]
    """Digests of the decoded query images, in the order given."""
    notes: tuple[str, ...] = ()
    """What a person should know of how the images were read."""
    label_scores: dict[str, float] | None = None
    """Observation to probability from the encoder's label head, or None without one."""
    label_thresholds: dict[str, float] | None = None
    """Finding to the least label score that counts as seen, as the encoder sets it."""
    ood: OodCheck | None = None
    """Whether the images are of the kind that the index holds; None where that cannot be said: a
    search by words alone, or an index built without what it takes."""

    @property
    def labels(self) -> tuple[Labels, ...]:
        return tuple(hit.case.labels for hit in self.hits)

    @property
    def seen_findings(self) -> tuple[str, ...] | None:
        """The findings whose label score reaches its threshold; None without label scores."""
        if self.label_scores is None:
            return None
        least = self.label_thresholds or {}
        return tuple(name for name in FINDINGS if self.label_scores[name] >= least.get(name, 0.5))
