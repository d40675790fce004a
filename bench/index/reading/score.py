"""Read texts and compare with what their writers say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.index.reading.labels import AttributeScore, LabelScore, Row, merged, observations
from bench.index.reading.pairs import PairScore, image_sentences
from bench.index.reading.sections import SectionScore
from db.errors import UserError
from db.files import json_lines
from db.findings import FINDING
from db.labels import NO_FINDING, State
from indexer.reports.labeller import label_report, label_sentence, mentions
from indexer.reports.language import report_language
from indexer.reports.sections.parse import parse_report
from indexer.reports.sentences import split_sentences

_KINDS = ({"text", "findings", "no_finding"}, {"report", "findings"}, {"sentence", "case", "holds"})


@dataclass
class ReadingScore:
    """All scores; those of what a file does not hold stay empty."""

    sentences: int = 0
    reports: int = 0
    findings: LabelScore = field(default_factory=LabelScore)
    observations: LabelScore = field(default_factory=LabelScore)
    attributes: AttributeScore = field(default_factory=AttributeScore)
    sections: SectionScore = field(default_factory=SectionScore)
    noted_sections: SectionScore = field(default_factory=SectionScore)
    """Of reports with a note of the writer's, as a rule that two readings are right."""
    right_languages: int = 0
    languages: int = 0
    """Reports whose language the writer names."""
    pairs: PairScore = field(default_factory=PairScore)

    def add(self, row: Row) -> None:
        """Read one line of a file."""
        if "sentence" in row:
            self.pairs.add(row)
        elif "report" in row:
            self._add_report(row)
        else:
            self._add_sentence(row)

    def _add_sentence(self, row: Row) -> None:
        told = " / ".join(row["text"].splitlines())
        sentences = split_sentences(row["text"])
        found = [one for text in sentences for one in mentions(text)]
        self.sentences += 1
        self.findings.add(told, row["findings"], merged(found))
        self.observations.add(told, observations(row), _label_text(sentences))
        self.attributes.add(row, told, found)

    def _add_report(self, row: Row) -> None:
        parsed = parse_report(row["report"])
        sentences = image_sentences(parsed)
        self.reports += 1
        if row.get("sections") is not None:
            (self.noted_sections if row.get("note") else self.sections).add(row, parsed)
        if row.get("language"):
            self.languages += 1
            self.right_languages += report_language(row["report"]) == row["language"]
        if row["findings"] is not None:
            told = f"report: {row.get('kind', '')}, {row['report'][:60]!r}"
            found = [one for text in sentences for one in mentions(text)]
            self.findings.add(told, row["findings"], merged(found))
            self.observations.add(told, observations(row), label_report(sentences))


def _label_text(sentences: Sequence[str]) -> dict[str, State]:
    """Label as a report, with No Finding only where a sentence calls the whole image normal."""
    labels = label_report(sentences)
    if not any(NO_FINDING in label_sentence(text) for text in sentences):
        labels.pop(NO_FINDING, None)
    return labels


def score(rows: Iterable[Row]) -> ReadingScore:
    """Read every line with today's rules."""
    found = ReadingScore()
    for row in rows:
        found.add(row)
    return found


def read_rows(path: Path) -> list[Row]:
    """Lines of a file; `UserError` names the first that is no sentence, report or pair."""
    rows: list[Row] = []
    for place, row in json_lines(path):
        if not isinstance(row, dict) or not any(keys <= set(row) for keys in _KINDS):
            raise UserError(
                f"{place}: neither a sentence (text, findings, no_finding), a report "
                "(report, findings) nor a citation pair (sentence, case, holds)"
            )
        unknown = sorted(set(row.get("findings") or {}) - set(FINDING))
        if unknown:
            raise UserError(f"{place}: no finding is called {', '.join(unknown)}")
        rows.append(row)
    return rows
