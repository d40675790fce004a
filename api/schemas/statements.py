"""Wire types of a sentence with its citations, and of an observation."""

from collections.abc import Mapping
from typing import Annotated, Self

import msgspec

from api.schemas.case_keys import case_key
from api.schemas.cases import CaseKey
from api.schemas.searches import Score
from db.app.generation import StoredCitation, StoredObservation, StoredStatement
from db.index.store import Section
from db.labels import State

Available = frozenset[tuple[str, str]]
"""Source and study id of the cases that the open index holds."""


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


class RemovedDocument(msgspec.Struct, kw_only=True):
    """A `[n]` that a language model wrote and the check took out."""

    number: int
    reason: str


class StatementDocument(msgspec.Struct, kw_only=True):
    """One sentence, and what the check of it found."""

    section: Section
    text: str
    grounded: bool
    """False where no prior case supports it: it then rests on the image alone."""
    labels: Mapping[str, State]
    citations: list[CitationDocument]
    found_afterwards: bool
    """True where the language model cited no case that says it, and the citations were looked
    for afterwards."""
    added: bool
    """True where a rule added it: classifier positive, omitted by the language model, stated by the
    cited cases."""
    removed: list[RemovedDocument]
    case_support: float | None
    """How near the best quote is in wording, from 0 to 1; null where it was not measured."""
    image_support: float | None
    """The least probability that the encoder's label head gives to what is stated."""
    contradiction: str | None
    """How the image's label scores contradict it; null if they do not."""

    @classmethod
    def of(cls, statement: StoredStatement, available: Available) -> Self:
        return cls(
            section=statement.section,
            text=statement.text,
            grounded=bool(statement.citations),
            labels=statement.labels,
            citations=[CitationDocument.of(c, available) for c in statement.citations],
            found_afterwards=statement.check.found_afterwards,
            added=statement.check.added,
            removed=[
                RemovedDocument(number=one.number, reason=one.reason)
                for one in statement.check.removed
            ],
            case_support=statement.check.case_support,
            image_support=statement.check.image_support,
            contradiction=statement.check.contradiction,
        )


Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ObservationDocument(msgspec.Struct, kw_only=True):
    """How likely one of the 14 observations is, and who says so."""

    name: str
    probability: Share
    """Of the opinions below together."""
    model: Share | None
    """The language model's yes; null without one."""
    vote: Share
    """Share of the retrieved cases that name it, weighted by similarity."""
    vote_low: Share
    """Lower end of the 95 % interval of `vote`."""
    vote_high: Share
    image: Share | None
    """Of the encoder's label head; null without one."""
    cases: list[int]
    """Numbers of the hits that name it."""

    @classmethod
    def of(cls, one: StoredObservation) -> Self:
        return cls(
            name=one.name,
            probability=one.probability,
            model=one.model,
            vote=one.vote,
            vote_low=one.vote_low,
            vote_high=one.vote_high,
            image=one.image,
            cases=list(one.cases),
        )
