"""Wire types of a search."""

from collections.abc import Mapping
from typing import Annotated, Self

import msgspec

from api.schemas.cases import CaseDocument
from db.app.generation import NOTICE, ExcludedCase, OodCheck
from retriever.options import Strategy
from retriever.results import Hit, Retrieval

Score = Annotated[float, msgspec.Meta(description="Cosine between the study and the case.")]


class SearchHit(msgspec.Struct, kw_only=True):
    """A hit with its case."""

    number: int
    score: Score
    case: CaseDocument
    matched_sentence: str | None
    """Of a search by text: the sentence of the report that says what the text asks for."""

    @classmethod
    def of(cls, hit: Hit) -> Self:
        return cls(
            number=hit.rank,
            score=hit.score,
            case=CaseDocument.of(hit.case),
            matched_sentence=hit.matched_sentence,
        )


class SearchDocument(msgspec.Struct, kw_only=True):
    """The hits for a study, a text or a case, best first."""

    hits: list[SearchHit]
    excluded_cases: list[ExcludedCase]
    notes: list[str]
    images_sha256: list[str]
    index_fingerprint: str
    label_scores: Mapping[str, float] | None
    """Observation to probability from the encoder's label head, uncalibrated."""
    strategy: Strategy
    """How the hits were chosen."""
    finding_likelihoods: Mapping[str, float] | None
    """Finding to the probability that ranked the hits of the strategy `findings`; null for
    another."""
    wanted_findings: list[str]
    """The findings with a quota of the hits, those first that are most unusual in the index."""
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
            strategy=retrieval.strategy,
            finding_likelihoods=retrieval.finding_likelihoods,
            wanted_findings=list(retrieval.wanted_findings),
            ood=retrieval.ood,
        )
