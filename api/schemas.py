"""Wire types: what the service says, apart from how it is stored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec

from api.case_keys import case_key
from api.public_pages import public_url
from db.cases import Case, Section, ViewPosition
from db.generations import Generation, Page, StoredCitation, StoredStatement
from db.labels import State
from generator.grounded import NOTICE
from retriever.retrieval import Hit, Retrieval

Available = frozenset[tuple[str, str]]
"""Source and study id of the cases that the open index holds."""

CaseKey = Annotated[
    str, msgspec.Meta(description="The case as `source:study_id`.", examples=["openi:1234"])
]
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

    @classmethod
    def of(cls, generation: Generation) -> Self:
        cited = {c.number for s in generation.statements for c in s.citations}
        return cls(
            id=generation.id,
            created_at=generation.created_at,
            task=generation.task,
            generator=generation.generator,
            text=generation.text,
            films=len(generation.films_sha256),
            cited_cases=len(cited),
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


class CaseImageDocument(msgspec.Struct, kw_only=True):
    """An image of a case."""

    number: int
    view_position: ViewPosition | None
    width: int
    height: int
    has_file: bool
    """Whether the data set's file was known when the index was built; it may have moved since."""


class CaseSentence(msgspec.Struct, kw_only=True):
    """A sentence of a case's report, verbatim."""

    section: Section
    text: str
    labels: Mapping[str, State]


class CaseDocument(msgspec.Struct, kw_only=True):
    """An indexed study: what a citation points to."""

    case: CaseKey
    source: str
    study_id: str
    indication: str
    findings: str
    impression: str
    labels: Mapping[str, State]
    sentences: list[CaseSentence]
    images: list[CaseImageDocument]
    public_url: str | None

    @classmethod
    def of(cls, case: Case) -> Self:
        return cls(
            case=case_key(case.source, case.study_id),
            source=case.source,
            study_id=case.study_id,
            indication=case.indication,
            findings=case.findings,
            impression=case.impression,
            labels=case.labels,
            sentences=[
                CaseSentence(section=s.section, text=s.text, labels=s.labels)
                for s in case.sentences
            ],
            images=[
                CaseImageDocument(
                    number=number,
                    view_position=image.view_position,
                    width=image.width,
                    height=image.height,
                    has_file=image.path is not None,
                )
                for number, image in enumerate(case.images, start=1)
            ],
            public_url=public_url(case),
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
    """The hits for one study, best first."""

    hits: list[SearchHit]
    left_out: list[LeftOutDocument]
    notes: list[str]
    films_sha256: list[str]
    index_fingerprint: str
    label_scores: Mapping[str, float] | None
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
        )


class IndexSummary(msgspec.Struct, kw_only=True):
    """The index that is open now."""

    fingerprint: str
    created_at: str
    source: str
    split: str
    studies: int
    encoder: str
    labeller_version: str
    licence: str


class UploadLimits(msgspec.Struct, kw_only=True):
    """What one request may bring."""

    max_images: int
    max_body_bytes: int


class Health(msgspec.Struct, kw_only=True):
    """That the service answers, and with what."""

    status: str
    index: IndexSummary
    versions: Mapping[str, str]
    limits: UploadLimits
    sample: bool
    """Whether `GET /sample` has a film to try."""
    notice: str = NOTICE
