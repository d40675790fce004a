"""A grounded report: statements, each with the prior cases it rests on.

The one type that every generator fills, extractive or language model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from db.index.store import Section
from db.labels import Labels
from retriever.results import Hit

NOTICE = "Research use only, not for clinical use."


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A ``[n]`` in a report, resolved. It stays true when the index is rebuilt or gone."""

    number: int
    """The rank of the hit."""
    source: str
    study_id: str
    index_fingerprint: str
    quote: str
    """The sentence of the cited report that supports the statement, verbatim."""
    score: float
    """Cosine between the image and the cited case."""

    @classmethod
    def of(cls, hit: Hit, quote: str, index_fingerprint: str) -> Self:
        """Of a hit that is numbered by its rank."""
        return cls(
            number=hit.rank,
            source=hit.case.source,
            study_id=hit.case.study_id,
            index_fingerprint=index_fingerprint,
            quote=quote,
            score=hit.score,
        )


@dataclass(frozen=True, kw_only=True)
class RemovedCitation:
    """A ``[n]`` that a model wrote and the check took out."""

    number: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One sentence of a report."""

    section: Section
    text: str
    citations: tuple[Citation, ...] = ()
    labels: Labels = field(default_factory=dict)
    found_afterwards: bool = False
    """True where the model cited no case that says it, and the citations were looked for."""
    added: bool = False
    """True where a rule added it: classifier positive, omitted by the model, stated by the cited
    cases."""
    removed: tuple[RemovedCitation, ...] = ()
    case_support: float | None = None
    """How near the best quote is in wording, 0..1, once it agrees in what it claims; 0 without a
    citation; None where it was not measured."""
    image_support: float | None = None
    """The least probability that the encoder's label head gives to what is stated, 0..1; None
    without label scores or where no observation is stated."""
    contradiction: str | None = None
    """How the image's label scores contradict the statement; None if they do not."""

    @property
    def grounded(self) -> bool:
        """Whether a prior case supports it; otherwise it rests on the image alone."""
        return bool(self.citations)

    def __str__(self) -> str:
        marks = "".join(f"[{number}]" for number in sorted({c.number for c in self.citations}))
        return f"{self.text} {marks or '[image only]'}{' (added by rule)' if self.added else ''}"


@dataclass(frozen=True, kw_only=True)
class GroundedReport:
    """Findings and impression, with the hits that the numbers point to."""

    statements: tuple[Statement, ...]
    hits: tuple[Hit, ...]
    generator: str
    """Name and version of what wrote it, e.g. ``extractive-1``."""
    index_fingerprint: str
    notes: tuple[str, ...] = ()
    label_scores: Mapping[str, float] | None = None
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
    def cited_hits(self) -> tuple[Hit, ...]:
        """The hits that at least one statement cites, by rank."""
        numbers = {c.number for s in self.statements for c in s.citations}
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
        return f"{self.marked_text}\n{self.notice}"
