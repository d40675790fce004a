"""A generation: one stored output, and everything it rests on.

The generator fills these types, the application database stores them, and the service and the
command line print them as JSON, field by field. Cases are named by source and study, never by the
number that a case has inside one index, and quoted sentences are kept, so a generation stays true
when the index is rebuilt or deleted.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from db.app.observations import Change, Observation, PriorStudy
from db.errors import NotFoundError
from db.index.case import Section, case_key
from db.labels import Labels

NOTICE = "Research use only, not for clinical use."


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A ``[n]`` in a text, resolved when the text was written."""

    number: int
    """The rank of the hit."""
    case: str = field(init=False)
    """``source:study_id``, see `db.index.case`."""
    source: str
    study_id: str
    index_fingerprint: str
    quote: str
    """The sentence of the cited report that supports the statement, verbatim."""
    score: float
    """Cosine between the study and the cited case."""
    case_available: bool = True
    """Whether the index that is open now holds the case; not stored."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "case", case_key(self.source, self.study_id))


@dataclass(frozen=True, kw_only=True)
class RemovedCitation:
    """A ``[n]`` that a language model wrote and the citation check removed."""

    number: int
    reason: str


IMAGE_ONLY = "[image only]"
COMPARED = "[compared with the prior study]"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One sentence, and what the citation check found."""

    section: Section
    text: str
    grounded: bool = field(init=False)
    """Whether a prior case supports it; otherwise it rests on the image alone, or on the image and
    the patient's own prior study."""
    labels: Labels = field(default_factory=dict)
    citations: tuple[Citation, ...] = ()
    citations_added: bool = False
    """Whether the check added the citations, because the model cited no supporting case."""
    added_by_rule: bool = False
    """Whether a rule added the sentence: the finding is present by the assessment, the model
    omitted it, and the cited cases, if any, say it."""
    removed_citations: tuple[RemovedCitation, ...] = ()
    case_support: float | None = None
    """Similarity in wording, 0..1, of the best quote that makes the same claims; 0 without a
    citation; None where it was not measured."""
    image_support: float | None = None
    """The lowest probability that the encoder's label head gives to what is stated, 0..1; None
    without label scores or where no observation is stated."""
    contradiction: str | None = None
    """How the image's label scores contradict the statement; None where they do not."""
    change: Change | None = None
    """Where the sentence compares with the patient's own prior study: what it rests on, the two
    assessments. None for every other sentence."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "grounded", bool(self.citations))

    def __str__(self) -> str:
        rule = " (added by rule)" if self.added_by_rule else ""
        return f"{self.text} {self.marks}{rule}"

    @property
    def marks(self) -> str:
        """Its citation numbers, or what it rests on where there are none."""
        numbers = sorted({one.number for one in self.citations})
        cited = "".join(f"[{number}]" for number in numbers)
        return cited or (IMAGE_ONLY if self.change is None else COMPARED)


Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) in pixels from the image's top left corner, in order, the first not repeated."""


@dataclass(frozen=True, kw_only=True)
class ScoreRegion:
    """What the label head's score of one observation rests on in one image.

    Made from the image and the observation alone. It is not the outline of a lesion: a score can
    rest on what only comes with one. On a frontal view the image's left is the patient's right.
    """

    image: int
    """From 1, in the order of the images."""
    observation: str
    score: float
    """From the encoder's label head, of this image alone, uncalibrated, 0..1."""
    width: int
    """Of the image as it was read, in pixels."""
    height: int
    polygons: tuple[Polygon, ...]
    """Where the map is at least half its highest value, the largest part first; empty where nothing
    in the image speaks for the observation."""
    map: tuple[tuple[int, ...], ...]
    """Rows from the top, over the whole image; per cent of the highest value."""


@dataclass(frozen=True, kw_only=True)
class GenerationHit:
    """A retrieved case, by the number that citations use."""

    number: int
    case: str = field(init=False)
    source: str
    study_id: str
    score: float
    case_available: bool = True
    """Whether the index that is open now holds the case; not stored."""
    cited: bool = False
    """Whether a statement of the generation cites it; `Generation` sets it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "case", case_key(self.source, self.study_id))


@dataclass(frozen=True, kw_only=True)
class ExcludedCase:
    """A case that a rule kept out of the hits."""

    source: str
    study_id: str
    score: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class OodCheck:
    """Whether the images are of the kind that the index holds, judged by the least usual one."""

    in_distribution: bool
    """False for an image unlike the indexed images: do not rely on what was found for it."""
    score: float
    """Typicality: 0 for the median indexed image, lower for an unusual one."""
    threshold: float
    """Below it an image is flagged."""
    reason: str
    """One sentence for a person."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What it takes, besides images, options, index and hits, to write the same text again."""

    program: str
    """Version of this program."""
    encoder: str
    encoder_sha256: str
    """Of its weights, as the other digests here."""
    model: str | None = None
    """Name of the language model; None where none was used."""
    model_sha256: str | None = None
    adapter: str | None = None
    adapter_sha256: str | None = None
    prompt_version: str | None = None
    seed: int | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """Temperature and the like, as JSON values."""


@dataclass(frozen=True, kw_only=True)
class IndexReference:
    """The index that a generation was made with."""

    fingerprint: str
    source: str
    current: bool = True
    """Whether it is the index that is open now; not stored."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One stored output, with everything needed to trace it."""

    id: UUID
    status: Literal["done"] = "done"
    created_at: datetime
    """Aware; stored in UTC."""
    created_by: str | None = None
    """Name of the API key, or ``command line``; None for those made before there were keys."""
    task: str
    """``report``, ``ask``, ``classify`` or ``caption``."""
    question: str | None = None
    """None except for the task ``ask``."""
    indication: str | None = None
    """Why the images were taken, as the caller gave it."""
    warnings: tuple[str, ...] = ()
    """What a reader must know before the text, each a sentence; every surface shows them first."""
    text: str
    generator: str
    """Name and version of what wrote it."""
    origin: Origin | None = None
    """None for those made before it was recorded."""
    index: IndexReference
    images_sha256: tuple[str, ...]
    """Digests of the decoded images; the images themselves are not kept."""
    options: Mapping[str, Any]
    """Of the search, and ``sensitivity``, as JSON values."""
    notes: tuple[str, ...] = ()
    technical_notes: tuple[str, ...] = ()
    """How the image files were read."""
    label_scores: Mapping[str, float] | None = None
    """Observation to probability from the encoder's label head, uncalibrated."""
    ood: OodCheck | None = None
    """None where it could not be judged."""
    statements: tuple[Statement, ...] = ()
    """One for an answer or a caption; for classes, those more likely than not."""
    observations: tuple[Observation, ...] | None = None
    """The assessment that the text was written from; None for those made before it was stored,
    except for the task ``classify``."""
    calibrated_on: str | None = None
    """The studies on which the probabilities were calibrated; None where they were not."""
    regions: tuple[ScoreRegion, ...] = ()
    """One per image and observation; empty where the encoder cannot say, and for those made before
    they were recorded."""
    prior: PriorStudy | None = None
    """The patient's own prior study, which statements with a ``change`` compare with; None where
    none was given."""
    hits: tuple[GenerationHit, ...] = ()
    excluded_cases: tuple[ExcludedCase, ...] = ()
    notice: str = NOTICE

    def __post_init__(self) -> None:
        numbers = {c.number for statement in self.statements for c in statement.citations}
        hits = tuple(replace(hit, cited=hit.number in numbers) for hit in self.hits)
        object.__setattr__(self, "hits", hits)

    def region(self, image: int, observation: str) -> ScoreRegion:
        """Return what the score of an observation rests on in an image, counted from 1.

        Raises NotFoundError where it is not recorded.
        """
        for one in self.regions:
            if (one.image, one.observation) == (image, observation):
                return one
        raise NotFoundError(
            f"generation {self.id} has no map of '{observation}' in image {image}: see its regions"
        )

    @property
    def cited(self) -> frozenset[tuple[str, str]]:
        """Source and study id of every cited case."""
        return frozenset((c.source, c.study_id) for s in self.statements for c in s.citations)

    @property
    def cases(self) -> frozenset[tuple[str, str]]:
        """Source and study id of every hit and every cited case."""
        return self.cited | {(hit.source, hit.study_id) for hit in self.hits}

    def seen_from(self, fingerprint: str, available: Collection[tuple[str, str]]) -> Self:
        """The generation as the index that is open now sees it.

        ``available`` holds source and study id of the `cases` that this index still has.
        """

        def holds(case: Citation | GenerationHit) -> bool:
            return (case.source, case.study_id) in available

        return replace(
            self,
            index=replace(self.index, current=self.index.fingerprint == fingerprint),
            statements=tuple(
                replace(
                    statement,
                    citations=tuple(
                        replace(c, case_available=holds(c)) for c in statement.citations
                    ),
                )
                for statement in self.statements
            ),
            hits=tuple(replace(hit, case_available=holds(hit)) for hit in self.hits),
        )
