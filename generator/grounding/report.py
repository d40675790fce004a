"""A grounded report: statements, each with the prior cases it rests on.

The one type that every generator fills, extractive or language model, for every task: an answer and
a caption are reports of one statement, and a classification is one of classes
(`generator.assessment.classification`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from db.app.generation import NOTICE, Citation, Statement
from db.app.observations import PriorStudy
from db.index.case import Section
from generator.assessment.assess import Assessment
from retriever.results import Hit


@dataclass(frozen=True, kw_only=True)
class GroundedReport:
    """Findings and impression, with the hits that the numbers point to."""

    statements: tuple[Statement, ...]
    hits: tuple[Hit, ...]
    generator: str
    """Name and version of what wrote it, e.g. ``extractive-1``."""
    index_fingerprint: str
    warnings: tuple[str, ...] = ()
    """What a reader must know before the text, each a sentence."""
    notes: tuple[str, ...] = ()
    label_scores: Mapping[str, float] | None = None
    assessment: Assessment | None = None
    """What the text agrees with; None where none was made."""
    prior: PriorStudy | None = None
    """The patient's own prior study that it is compared with."""
    instead_of_model: bool = False
    """Whether a language model was to write it and could not; a warning says why."""
    as_written: str | None = None
    """What a language model wrote, before its citations were checked; None without one."""
    notice: str = NOTICE

    def section(self, name: Section) -> tuple[Statement, ...]:
        return tuple(s for s in self.statements if s.section == name)

    @property
    def text(self) -> str:
        """The report without citation marks: what text metrics score."""
        return "\n\n".join(
            " ".join(s.text for s in part)
            for part in (self.section("findings"), self.section("impression"))
            if part
        )

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Those of all statements, in their order."""
        return tuple(c for s in self.statements for c in s.citations)

    @property
    def cited_hits(self) -> tuple[Hit, ...]:
        """The hits that at least one statement cites, by rank."""
        numbers = {citation.number for citation in self.citations}
        return tuple(hit for hit in self.hits if hit.rank in numbers)

    @property
    def marked_text(self) -> str:
        """The report with its citation marks, a statement a line under its section's title."""
        lines = []
        for title in ("findings", "impression"):
            part = self.section(title)
            if part:
                lines.append(title.upper())
                lines += [f"  {statement}" for statement in part]
        return "\n".join(lines)

    def __str__(self) -> str:
        return "\n".join((*self.warnings, self.marked_text, self.notice))


def cite(hit: Hit, quote: str, index_fingerprint: str) -> Citation:
    """The citation of a hit, numbered by its rank; ``quote`` is a sentence of its report."""
    return Citation(
        number=hit.rank,
        source=hit.case.source,
        study_id=hit.case.study_id,
        index_fingerprint=index_fingerprint,
        quote=quote,
        score=hit.score,
    )
