"""The result of a search: hits, and the cases that a rule excluded."""

from collections.abc import Mapping
from dataclasses import dataclass

from db.app.generation import ExcludedCase, OodCheck
from db.index.case import ViewPosition
from db.index.store import Case
from db.labels import FINDINGS, Labels
from indexer.encoder.spec import ClassMaps
from indexer.images.contrast import Brightness
from retriever.options import Strategy


@dataclass(frozen=True, kw_only=True, repr=False)
class Hit:
    """A retrieved case."""

    rank: int
    """From 1; the number that a citation ``[n]`` names."""
    score: float
    """Cosine between the query study and the case, in -1..1."""
    case: Case
    matched_sentence: str | None = None
    """Of a search by text: the sentence of the report that says what the text asks for."""

    def __repr__(self) -> str:
        return f"Hit([{self.rank}] {self.case.source} {self.case.study_id}, score {self.score:.3f})"


@dataclass(frozen=True, kw_only=True)
class View:
    """One image of the query."""

    is_frontal: bool | None
    """By its header or else by the encoder's view head; None where neither says."""
    label_scores: Mapping[str, float] | None
    """Observation to probability from the encoder's label head; None without one."""
    position: ViewPosition | None = None
    """As its header states, if it does."""
    size: tuple[int, int] | None = None
    """Width and height in pixels, as it was read."""
    brightness: Brightness | None = None
    """Beside other chest X-rays, as it was read."""
    class_maps: ClassMaps | None = None
    """What the label scores rest on; None where the encoder cannot say."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Retrieval:
    """The hits for one study, best first.

    That is by cosine, unless a text or the strategy ``findings`` ranked them (`retriever.ranking`).
    """

    hits: tuple[Hit, ...]
    excluded_cases: tuple[ExcludedCase, ...] = ()
    index_fingerprint: str
    source: str
    """Of the index."""
    images_sha256: tuple[str, ...]
    """Digests of the decoded query images, in the order given."""
    notes: tuple[str, ...] = ()
    """What a person should know about how the images were read."""
    label_scores: dict[str, float] | None = None
    """Observation to probability from the encoder's label head, or None without one."""
    label_thresholds: dict[str, float] | None = None
    """Finding to the least label score that counts as positive, as the encoder sets it."""
    views: tuple[View, ...] = ()
    """The query images, in the order given; empty where they are not known."""
    strategy: Strategy = "similar"
    """How the hits were chosen."""
    finding_likelihoods: dict[str, float] | None = None
    """Finding to the probability that ranked the hits; None unless the strategy was
    ``findings``."""
    wanted_findings: tuple[str, ...] = ()
    """The findings that had a quota of the hits, those first that are most unusual in the index."""
    ood: OodCheck | None = None
    """Whether the images are out of distribution for the index; None for a search by text alone or
    an index without a typicality profile."""

    def __repr__(self) -> str:
        best = f", best {self.hits[0].score:.3f}" if self.hits else ""
        excluded = f"{len(self.excluded_cases)} excluded"
        return f"Retrieval({self.source}, {len(self.hits)} hits{best}, {excluded})"

    @property
    def labels(self) -> tuple[Labels, ...]:
        return tuple(hit.case.labels for hit in self.hits)

    @property
    def image_findings(self) -> tuple[str, ...] | None:
        """The findings whose label score reaches its threshold; None without label scores."""
        if self.label_scores is None:
            return None
        least = self.label_thresholds or {}
        return tuple(name for name in FINDINGS if self.label_scores[name] >= least.get(name, 0.5))
