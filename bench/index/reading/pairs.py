"""Pairs of a statement and a report: does the report support it?"""

from collections import Counter
from dataclasses import dataclass, field

from bench.index.reading.counts import share
from bench.index.reading.labels import Row
from generator.grounding.support.evidence import support
from indexer.reports.sections.parse import ParsedReport, parse_report
from indexer.reports.sentences import split_sentences


@dataclass
class PairScore:
    """Wrong decisions of the citation check."""

    false: Counter[str] = field(default_factory=Counter)
    """Pairs that must be refused, by what makes them false."""
    accepted: Counter[str] = field(default_factory=Counter)
    """Those of them that are not."""
    true: int = 0
    """Pairs that must be accepted."""
    refused: int = 0
    """Those of them that are not."""
    errors: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Check one pair, the report read as at the build of an index."""
        found = support(row["sentence"], image_sentences(parse_report(row["case"])))
        cause = row.get("false_by") or "any"
        if row["holds"]:
            self.true += 1
            self.refused += not found.holds
        else:
            self.false[cause] += 1
            self.accepted[cause] += found.holds
        if found.holds != row["holds"]:
            why = f"refused, {found.reason}" if row["holds"] else f"accepted, false by {cause}"
            self.errors.append(f"{why} | {row['sentence']} | {row['case']}")

    @property
    def accepted_share(self) -> float:
        """Share of the false pairs."""
        return share(self.accepted.total(), self.false.total())

    @property
    def refused_share(self) -> float:
        """Share of the true pairs."""
        return share(self.refused, self.true)


def image_sentences(parsed: ParsedReport) -> list[str]:
    """Sentences of the sections that describe the image."""
    return [*split_sentences(parsed.findings), *split_sentences(parsed.impression)]
