"""Wire types of a search."""

from collections.abc import Mapping
from typing import Annotated, Self

import msgspec

from api.schemas.cases import CaseDocument
from db.app.generation import NOTICE, ExcludedCase, OodCheck
from retriever.results import Hit, Retrieval

Score = Annotated[float, msgspec.Meta(description="Cosine between the study and the case.")]


class SearchHit(msgspec.Struct, kw_only=True):
    """A hit with its case."""

    number: int
    score: Score
    case: CaseDocument

    @classmethod
    def of(cls, hit: Hit) -> Self:
        return cls(number=hit.rank, score=hit.score, case=CaseDocument.of(hit.case))


class SearchDocument(msgspec.Struct, kw_only=True):
    """The hits for a study, a text or a case, best first."""

    hits: list[SearchHit]
    excluded_cases: list[ExcludedCase]
    notes: list[str]
    images_sha256: list[str]
    index_fingerprint: str
    label_scores: Mapping[str, float] | None
    """Observation to probability from the encoder's label head, uncalibrated."""
    ood: OodCheck | None
    """Null for a search by text alone, and where the index cannot judge."""
    notice: str = NOTICE

    @classmethod
    def of(cls, retrieval: Retrieval) -> Self:
        return cls(
            hits=[SearchHit.of(hit) for hit in retrieval.hits],
            excluded_cases=list(retrieval.excluded_cases),
            notes=list(retrieval.notes),
            images_sha256=list(retrieval.images_sha256),
            index_fingerprint=retrieval.index_fingerprint,
            label_scores=retrieval.label_scores,
            ood=retrieval.ood,
        )
