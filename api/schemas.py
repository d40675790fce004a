"""Wire types: what the service says, apart from how it is stored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec

from api.case_keys import case_key
from api.case_schemas import CaseDocument, CaseKey
from db.cases import Section
from db.generations import Generation, Page, StoredCitation, StoredStatement, StoredVerdict
from db.labels import State
from generator.grounded import NOTICE
from retriever.retrieval import Hit, Retrieval
from retriever.verdict import Verdict

Available = frozenset[tuple[str, str]]
"""Source and study id of the cases that the open index holds."""

Score = Annotated[float, msgspec.Meta(description="Cosine between the study and the case.")]


class CitationDocument(msgspec.Struct, kw_only=True):
    """A `[n]`, resolved when the report was written. The quote stays when the index changes."""

    number: int
    case: CaseKey
    source: str
    study_id: str
    index_fingerprint: str
    quote: str
    score: Score
    case_available: bool
    """Whether the index that is open now holds the case."""

    @classmethod
    def of(cls, citation: StoredCitation, available: Available) -> Self:
        return cls(
            number=citation.number,
            case=case_key(citation.source, citation.study_id),
            source=citation.source,
            study_id=citation.study_id,
            index_fingerprint=citation.index_fingerprint,
            quote=citation.quote,
            score=citation.score,
            case_available=(citation.source, citation.study_id) in available,
        )


class StatementDocument(msgspec.Struct, kw_only=True):
    """One sentence of a report."""

    section: Section
    text: str
    grounded: bool
    """False where no prior case supports it: it then rests on the image alone."""
    labels: Mapping[str, State]
    citations: list[CitationDocument]

    @classmethod
    def of(cls, statement: StoredStatement, available: Available) -> Self:
        return cls(
            section=statement.section,
            text=statement.text,
            grounded=bool(statement.citations),
            labels=statement.labels,
            citations=[CitationDocument.of(c, available) for c in statement.citations],
        )


class HitDocument(msgspec.Struct, kw_only=True):
    """A retrieved case, by the number that citations use."""

    number: int
    case: CaseKey
    source: str
    study_id: str
    score: Score
    case_available: bool
    cited: bool


class LeftOutDocument(msgspec.Struct, kw_only=True):
    """A case that would have been a hit, and why it is none."""

    source: str
    study_id: str
    score: Score
    reason: str


class VerdictDocument(msgspec.Struct, kw_only=True):
    """Whether the films are of the kind that the index holds."""

    in_distribution: bool
    """False for an image unlike the films of the index: do not rely on what was found for it."""
    score: float
    """Typicality: 0 for the median indexed film, lower for a stranger."""
    threshold: float
    """Below it an image is flagged."""
    reason: str

    @classmethod
    def of(cls, verdict: Verdict | StoredVerdict | None) -> Self | None:
        if verdict is None:
            return None
        return cls(
            in_distribution=verdict.in_distribution,
            score=verdict.score,
            threshold=verdict.threshold,
            reason=verdict.reason,
        )


class IndexReference(msgspec.Struct, kw_only=True):
    """The index that a generation was made with."""

    fingerprint: str
    source: str
    current: bool
    """Whether it is the one that is open now."""


class GenerationDocument(msgspec.Struct, kw_only=True):
    """A stored report with everything it rests on."""

    id: UUID
    created_at: datetime
    task: str
    text: str
    generator: str
    index: IndexReference
    films_sha256: list[str]
    options: Mapping[str, Any]
    notes: list[str]
    label_scores: Mapping[str, float] | None
    """Observation to probability from the encoder's label head, uncalibrated."""
    verdict: VerdictDocument | None
    """Null where it was not judged."""
    statements: list[StatementDocument]
    hits: list[HitDocument]
    left_out: list[LeftOutDocument]
    notice: str = NOTICE

    @classmethod
    def of(cls, generation: Generation, available: Available, fingerprint: str) -> Self:
        """``fingerprint`` is that of the index that is open now."""
        cited = {c.number for s in generation.statements for c in s.citations}
        return cls(
            id=generation.id,
            created_at=generation.created_at,
            task=generation.task,
            text=generation.text,
            generator=generation.generator,
            index=IndexReference(
                fingerprint=generation.index_fingerprint,
                source=generation.index_source,
                current=generation.index_fingerprint == fingerprint,
            ),
            films_sha256=list(generation.films_sha256),
            options=generation.options,
            notes=list(generation.notes),
            label_scores=generation.label_scores,
            verdict=VerdictDocument.of(generation.verdict),
            statements=[StatementDocument.of(s, available) for s in generation.statements],
            hits=[
                HitDocument(
                    number=hit.number,
                    case=case_key(hit.source, hit.study_id),
                    source=hit.source,
                    study_id=hit.study_id,
                    score=hit.score,
                    case_available=(hit.source, hit.study_id) in available,
                    cited=hit.number in cited,
                )
                for hit in generation.hits
            ],
            left_out=[
                LeftOutDocument(
                    source=left.source,
                    study_id=left.study_id,
                    score=left.score,
                    reason=left.reason,
                )
                for left in generation.left_out
            ],
        )


class GenerationSummary(msgspec.Struct, kw_only=True):
    """A line of the history."""

    id: UUID
    created_at: datetime
    task: str
    generator: str
    text: str
    films: int
    cited_cases: int
    in_distribution: bool | None
    """As in the verdict; null without one."""

    @classmethod
    def of(cls, generation: Generation) -> Self:
        cited = {c.number for s in generation.statements for c in s.citations}
        verdict = generation.verdict
        return cls(
            id=generation.id,
            created_at=generation.created_at,
            task=generation.task,
            generator=generation.generator,
            text=generation.text,
            films=len(generation.films_sha256),
            cited_cases=len(cited),
            in_distribution=None if verdict is None else verdict.in_distribution,
        )


class GenerationList(msgspec.Struct, kw_only=True):
    """A page of the history, newest first."""

    generations: list[GenerationSummary]
    total: int
    next_before: UUID | None
    """Give it as `before` for the page that follows; null on the last one."""

    @classmethod
    def of(cls, page: Page) -> Self:
        return cls(
            generations=[GenerationSummary.of(generation) for generation in page.generations],
            total=page.total,
            next_before=page.generations[-1].id if page.more else None,
        )


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
    films_sha256: list[str]
    index_fingerprint: str
    label_scores: Mapping[str, float] | None
    """Observation to probability from the encoder's label head, uncalibrated."""
    verdict: VerdictDocument | None
    """Null for words alone, and where the index cannot judge."""
    notice: str = NOTICE

    @classmethod
    def of(cls, retrieval: Retrieval) -> Self:
        return cls(
            hits=[SearchHit.of(hit) for hit in retrieval.hits],
            left_out=[
                LeftOutDocument(
                    source=left.source,
                    study_id=left.study_id,
                    score=left.score,
                    reason=left.reason,
                )
                for left in retrieval.left_out
            ],
            notes=list(retrieval.notes),
            films_sha256=list(retrieval.films_sha256),
            index_fingerprint=retrieval.index_fingerprint,
            label_scores=retrieval.label_scores,
            verdict=VerdictDocument.of(retrieval.verdict),
        )
