"""Check citations before repair: how many sentences have one, and how many citations hold.

checks = [check_report(row, references) for row in rows]
table = grounding_table({"with retrieval": checks})

Coverage is the share of sentences stating an observation that cite at least one shown case.
Precision is the share of citations that hold: the number names a shown case whose report supports
the sentence according to `CitationCheck`; a number without a case is wrong. Both are measured
before anything is removed or repaired. As controls, each number is exchanged for another of the
same hits, or the hits for those of another image; a meaningful check must then fail more often.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from db.app.generation import Statement
from db.files import write_text
from db.labels import named
from evaluation.metrics.bootstrap import RESAMPLES
from evaluation.outputs.rows import Outputs, ReportRow
from evaluation.reports.references import References
from evaluation.reports.systems import sentences
from evaluation.tables import Cell, Share, Table, minus, tabulate
from generator.grounding.citations import CitationCheck, check_citations
from generator.grounding.written import WrittenSentence

SEED = 0

How = Literal["written", "exchanged", "elsewhere"]


@dataclass(frozen=True, kw_only=True)
class CheckedSentence:
    """A sentence, and which of its citations hold."""

    written: WrittenSentence
    supported: tuple[int, ...]
    """Numbers of the shown cases that support it."""
    shown: int
    """How many cases were shown."""
    exchanged: Mapping[int, int]
    """Each number's replacement among the same hits; empty for fewer than two hits."""
    elsewhere: tuple[int, ...]
    """Numbers of the cases shown for another image that support it."""

    @property
    def states(self) -> bool:
        return bool(self.written.labels)

    @property
    def finds(self) -> bool:
        """Whether it names a finding, positive or uncertain."""
        return bool(named(self.written.labels))

    @property
    def cited(self) -> bool:
        return any(1 <= number <= self.shown for number in self.written.numbers)

    def standing(self, how: How) -> int:
        """Count citations that hold: as ``written``, ``exchanged``, or ``elsewhere``."""
        numbers = self.written.numbers
        if how == "elsewhere":
            return sum(number in self.elsewhere for number in numbers)
        if how == "exchanged":
            return sum(self.exchanged.get(number) in self.supported for number in numbers)
        return sum(number in self.supported for number in numbers)


@dataclass(frozen=True, kw_only=True)
class CheckedReport:
    """One report, before and after the repair."""

    study_id: str
    sentences: tuple[CheckedSentence, ...]
    repaired: tuple[Statement, ...]
    repaired_standing: int
    """Citations of the repaired statements that hold when checked again."""
    refused: int
    """Sentences dropped because they describe a change."""


def check_reports(
    rows: Sequence[ReportRow], outputs: Outputs, references: References
) -> list[CheckedReport]:
    """Check reports in order, each also against the context of another."""
    checks, contexts = [], []
    for row in rows:
        contexts.append(references.context(row.context))
        retrieval = references.retrieval(outputs, row.study_id)
        checks.append(CitationCheck(contexts[-1], retrieval))
    other = derangement(len(rows), random.Random(SEED))
    reports = []
    for place, row in enumerate(rows):
        written = sentences(row.text)
        hits = len(contexts[place].hits)
        draw = random.Random(f"{SEED}:{row.study_id}")
        moved = derangement(hits, draw) if hits > 1 else []
        checked = tuple(
            CheckedSentence(
                written=one,
                supported=tuple(checks[place].supporters(one)),
                shown=hits,
                exchanged={number + 1: to + 1 for number, to in enumerate(moved)},
                elsewhere=tuple(checks[other[place]].supporters(one)) if len(rows) > 1 else (),
            )
            for one in written
        )
        repair = check_citations(
            written, contexts[place], references.retrieval(outputs, row.study_id)
        )
        reports.append(
            CheckedReport(
                study_id=row.study_id,
                sentences=checked,
                repaired=repair.statements,
                repaired_standing=_standing(repair.statements, checks[place]),
                refused=len(repair.notes),
            )
        )
    return reports


def write_sentences(reports: Mapping[str, Sequence[CheckedReport]], path: Path) -> None:
    """Write every sentence with its citations and those that hold, as JSON Lines for inspection."""
    lines = [
        json.dumps(
            {
                "system": system,
                "study_id": report.study_id,
                "section": one.written.section,
                "text": one.written.text,
                "labels": dict(one.written.labels),
                "numbers": one.written.numbers,
                "standing": [n for n in one.written.numbers if n in one.supported],
                "supported_by": sorted(one.supported),
            }
        )
        for system, some in reports.items()
        for report in some
        for one in report.sentences
    ]
    write_text(path, "".join(line + "\n" for line in lines))


def grounding_table(
    reports: Mapping[str, Sequence[CheckedReport]],
    *,
    patients: Sequence[str | None] | None = None,
    resamples: int = RESAMPLES,
) -> Table:
    """Tabulate the measures by system; ``patients`` has the patient of each report."""
    rows: dict[str, dict[str, Cell]] = {}
    for system, some in reports.items():
        for measure, cell in measures(some).items():
            rows.setdefault(measure, {})[system] = cell
    return tabulate(
        "Grounding",
        rows,
        patients=patients,
        notes=(
            "coverage: of sentences that state an observation, those that cite a shown case",
            "precision: of the numbers written, those whose case says the sentence",
            "after repair: what does not stand is removed, support is looked for, sentences on "
            "change are left out; every citation then stands by construction",
        ),
        resamples=resamples,
    )


def measures(reports: Sequence[CheckedReport]) -> dict[str, Cell]:
    """Return all measures of one system's citations."""
    found: dict[str, Cell] = {
        "coverage, as written": _coverage(reports, findings=False),
        "coverage of findings, as written": _coverage(reports, findings=True),
    }
    for findings in (False, True):
        name = "precision of findings" if findings else "precision"
        written = _precision(reports, "written", findings=findings)
        exchanged = _precision(reports, "exchanged", findings=findings)
        elsewhere = _precision(reports, "elsewhere", findings=findings)
        found[f"{name}, as written"] = written
        found[f"{name}, numbers exchanged"] = exchanged
        found[f"{name}, another image's hits"] = elsewhere
        found[f"{name}, fall where exchanged"] = minus(written, exchanged)
        found[f"{name}, fall with another image's"] = minus(written, elsewhere)
    stated = [[one for one in report.repaired if one.labels] for report in reports]
    cited = [[one for one in some if one.citations] for some in stated]
    found["coverage, after repair"] = Share(hits=_lengths(cited), of=_lengths(stated))
    found["precision, after repair"] = Share(
        hits=[report.repaired_standing for report in reports],
        of=[sum(len(one.citations) for one in report.repaired) for report in reports],
    )
    found["sentences whose support was found afterwards"] = Share(
        hits=[sum(one.citations_added for one in report.repaired) for report in reports],
        of=[len(report.repaired) for report in reports],
    )
    found["sentences left out, on change"] = Share(
        hits=[report.refused for report in reports],
        of=[len(report.repaired) + report.refused for report in reports],
    )
    return found


def derangement(count: int, draw: random.Random) -> list[int]:
    """Return a random permutation without fixed points, as one cycle."""
    order = list(range(count))
    draw.shuffle(order)
    moved = [0] * count
    for place, following in zip(order, order[1:] + order[:1], strict=True):
        moved[place] = following
    return moved


def _standing(statements: Sequence[Statement], check: CitationCheck) -> int:
    count = 0
    for one in statements:
        supporters = check.supporters(WrittenSentence(section=one.section, text=one.text))
        count += sum(citation.number in supporters for citation in one.citations)
    return count


def _coverage(reports: Sequence[CheckedReport], *, findings: bool) -> Share:
    asked = [
        [one for one in report.sentences if (one.finds if findings else one.states)]
        for report in reports
    ]
    return Share(
        hits=[sum(one.cited for one in some) for some in asked],
        of=_lengths(asked),
    )


def _precision(reports: Sequence[CheckedReport], how: How, *, findings: bool) -> Share:
    asked = [[one for one in report.sentences if one.finds or not findings] for report in reports]
    return Share(
        hits=[sum(one.standing(how) for one in some) for some in asked],
        of=[sum(len(one.written.numbers) for one in some) for some in asked],
    )


def _lengths(some: Sequence[Sequence[object]]) -> list[int]:
    return [len(one) for one in some]
