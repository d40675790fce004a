"""Wire types of a search, and of what a report takes over from one."""

from collections.abc import Mapping
from typing import Annotated, Self

import msgspec

from api.schemas.cases import CaseDocument
from db.app.generation import StoredLeftOut, StoredOodCheck
from generator.grounding.report import NOTICE
from retriever.ood import OodCheck
from retriever.results import Hit, LeftOut, Retrieval

Score = Annotated[float, msgspec.Meta(description="Cosine between the study and the case.")]


class LeftOutDocument(msgspec.Struct, kw_only=True):
    """A case that would have been a hit, and why it is none."""

    source: str
    study_id: str
    score: Score
    reason: str

    @classmethod
    def of(cls, left_out: LeftOut | StoredLeftOut) -> Self:
        return msgspec.convert(left_out, cls, from_attributes=True)


class OodDocument(msgspec.Struct, kw_only=True):
    """Whether the images are of the kind that the index holds."""

    in_distribution: bool
    """False for an image unlike the images of the index: do not rely on what was found for it."""
    score: float
    """Typicality: 0 for the median indexed image, lower for a stranger."""
    threshold: float
    """Below it an image is flagged."""
    reason: str

    @classmethod
    def of(cls, ood: OodCheck | StoredOodCheck | None) -> Self | None:
        if ood is None:
            return None
        return msgspec.convert(ood, cls, from_attributes=True)


class SearchHit(msgspec.Struct, kw_only=True):
    """A hit with its case."""

    number: int
    score: Score
    case: CaseDocument

    @classmethod
    def of(cls, hit: Hit) -> Self:
        return cls(number=hit.rank, score=hit.score, case=CaseDocument.of(hit.case))


class SearchDocument(msgspec.Struct, kw_only=True):
    """The hits for one study or some words, best first."""

    hits: list[SearchHit]
    left_out: list[LeftOutDocument]
    notes: list[str]
    images_sha256: list[str]
    index_fingerprint: str
    label_scores: Mapping[str, float] | None
    """Observation to probability from the encoder's label head, uncalibrated."""
    ood: OodDocument | None
    """Null for words alone, and where the index cannot judge."""
    notice: str = NOTICE

    @classmethod
    def of(cls, retrieval: Retrieval) -> Self:
        return cls(
            hits=[SearchHit.of(hit) for hit in retrieval.hits],
            left_out=[LeftOutDocument.of(left_out) for left_out in retrieval.left_out],
            notes=list(retrieval.notes),
            images_sha256=list(retrieval.images_sha256),
            index_fingerprint=retrieval.index_fingerprint,
            label_scores=retrieval.label_scores,
            ood=OodDocument.of(retrieval.ood),
        )
