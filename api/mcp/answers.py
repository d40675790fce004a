"""What the tools answer: text for a language model, and the same as JSON.

Every answer begins with the research-use line and a warning for images unlike those of the index.
No answer holds a path or an address.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import msgspec

from api.export.text import (
    check_remarks,
    opening_lines,
    other_notes,
    software,
    warning_lines,
    with_marks,
)
from db.app.generation import NOTICE, Generation, OodCheck, Statement
from db.index.case import Case, case_key
from generator.assessment.situation import study_warnings
from retriever.results import Hit, Retrieval


class AgentCase(msgspec.Struct, kw_only=True):
    """A prior case."""

    case: str
    indication: str
    findings: str
    impression: str
    labels: dict[str, str]
    images: int

    @classmethod
    def of(cls, case: Case) -> Self:
        return cls(
            case=case_key(case.source, case.study_id),
            indication=case.indication,
            findings=case.findings,
            impression=case.impression,
            labels=dict(case.labels),
            images=len(case.images),
        )

    def lines(self) -> Iterator[str]:
        for title, text in (
            ("Indication", self.indication),
            ("Findings", self.findings),
            ("Impression", self.impression),
        ):
            if text:  # on one line: no report can pass for another line of the answer
                yield f"{title}: {' '.join(text.split())}"


class AgentHit(msgspec.Struct, kw_only=True):
    """A retrieved case."""

    number: int
    score: float
    case: AgentCase

    @classmethod
    def of(cls, hit: Hit) -> Self:
        return cls(number=hit.rank, score=hit.score, case=AgentCase.of(hit.case))


class AgentCitation(msgspec.Struct, kw_only=True):
    """What a ``[n]`` stands for."""

    number: int
    case: str
    quote: str
    score: float


class AgentStatement(msgspec.Struct, kw_only=True):
    """A sentence and what supports it."""

    section: str
    text: str
    grounded: bool
    citations: list[AgentCitation]
    contradiction: str | None

    @classmethod
    def of(cls, statement: Statement) -> Self:
        return cls(
            section=statement.section,
            text=statement.text,
            grounded=statement.grounded,
            citations=[
                AgentCitation(number=one.number, case=one.case, quote=one.quote, score=one.score)
                for one in statement.citations
            ],
            contradiction=statement.contradiction,
        )


class CaseAnswer(msgspec.Struct, kw_only=True):
    """Of ``get_case``."""

    notice: str = NOTICE
    case: AgentCase


class SearchAnswer(msgspec.Struct, kw_only=True):
    """Of ``search_cases``."""

    notice: str = NOTICE
    warnings: list[str]
    hits: list[AgentHit]
    notes: list[str]
    index_fingerprint: str


class GenerationAnswer(msgspec.Struct, kw_only=True):
    """Of ``write_report`` and ``ask``."""

    notice: str = NOTICE
    warnings: list[str]
    generation: UUID
    """Id under which it is stored."""
    text: str
    statements: list[AgentStatement]
    notes: list[str]
    generator: str


@dataclass(frozen=True, kw_only=True)
class ToolAnswer:
    """Of a tool, before it becomes a message of the protocol."""

    lines: tuple[str, ...]
    document: msgspec.Struct
    images: Sequence[bytes] = ()
    """PNG."""


def case_answer(case: Case, images: Sequence[bytes]) -> ToolAnswer:
    shown = AgentCase.of(case)
    return ToolAnswer(
        lines=(NOTICE, f"Prior case {shown.case}", *shown.lines()),
        document=CaseAnswer(case=shown),
        images=images,
    )


def search_answer(retrieval: Retrieval) -> ToolAnswer:
    hits = [AgentHit.of(hit) for hit in retrieval.hits]
    warnings = list(study_warnings(retrieval))
    lines = [NOTICE, *warnings]
    for hit in hits:
        lines += [f"[{hit.number}] {hit.case.case}, score {hit.score:.3f}", *hit.case.lines()]
    return ToolAnswer(
        lines=tuple(lines if hits else [*lines, "No case was found."]),
        document=SearchAnswer(
            warnings=warnings,
            hits=hits,
            notes=_other(retrieval.notes, retrieval.ood),
            index_fingerprint=retrieval.index_fingerprint,
        ),
    )


def generation_answer(made: Generation) -> ToolAnswer:
    notes = list(other_notes(made))
    return ToolAnswer(
        lines=(*opening_lines(made), *_body(made), *(f"Note: {note}" for note in notes)),
        document=GenerationAnswer(
            warnings=list(warning_lines(made)),
            generation=made.id,
            text=made.text,
            statements=[AgentStatement.of(statement) for statement in made.statements],
            notes=notes,
            generator=software(made),
        ),
    )


def _body(made: Generation) -> Iterator[str]:
    section = None
    cited: dict[int, tuple[str, str]] = {}
    for statement in made.statements:
        if made.task == "report" and statement.section != section:
            section = statement.section
            yield section.upper()
        yield " ".join((with_marks(statement), *check_remarks(statement)))
        for one in statement.citations:
            cited.setdefault(one.number, (one.case, one.quote))
    for number, (case, quote) in sorted(cited.items()):
        yield f'[{number}] {case}: "{quote}"'
    if not made.statements:
        yield made.text


def _other(notes: Sequence[str], ood: OodCheck | None) -> list[str]:
    """The notes without the warning."""
    if ood is None or ood.in_distribution:
        return list(notes)
    return [note for note in notes if ood.reason not in note]
