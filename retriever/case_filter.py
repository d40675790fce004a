"""Which candidates may be hits of a search, and why others may not.

case_filter = CaseFilter(options, duplicates={7: "the same image"})
case_filter.admits(candidate)
case_filter.excluded_cases            # those refused, as the retrieval lists them
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from db.app.generation import ExcludedCase
from db.index.store import Case
from retriever.options import SearchOptions


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A case that may become a hit."""

    case: Case
    score: float
    """Cosine."""
    value: float
    """What candidates are ranked by; the cosine, unless a strategy or words rank them."""
    sentence: str | None = None
    """The sentence of its report that says what the query asks for."""


class CaseFilter:
    """The rules of one search that look at a case; each candidate is asked about once."""

    def __init__(self, options: SearchOptions, duplicates: Mapping[int, str]) -> None:
        """``duplicates`` maps ids of cases that hold the query image to what they hold."""
        self._distinct = options.distinct_reports
        self._duplicates = duplicates
        self._first: dict[str, str] = {}
        self.excluded_cases: list[ExcludedCase] = []

    def admits(self, candidate: Candidate) -> bool:
        """Return whether a candidate may be a hit; one that may not is listed as excluded."""
        case = candidate.case
        reason = self._duplicates.get(case.case_id)
        if reason is None and self._distinct:
            first = self._first.setdefault(normalise_report(case.report), case.study_id)
            if first != case.study_id:
                reason = f"same report as study {first}"
        if reason is not None:
            self.excluded_cases.append(
                ExcludedCase(
                    source=case.source,
                    study_id=case.study_id,
                    score=candidate.score,
                    reason=reason,
                )
            )
        return reason is None


def normalise_report(report: str) -> str:
    """Reduce a report to its lower-case words, to find reports with the same wording."""
    return " ".join(re.findall(r"[a-z0-9]+", report.lower()))
