"""The reports that a system may cite, and the studies that it reports on.

corpus = Corpus(index.cases)
corpus.resolve(Passage(case="openi:4", end=22), "study 7"), corpus.has_text("Clear lungs.")
task = Task.read(source, corpus)
task.studies[0].labels
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from db.errors import UserError
from db.index.case import Case, case_key
from evaluation.grounding.submission import Passage, Text
from evaluation.reports.references import own_cases
from evaluation.retrieval.studies import nothing_left
from indexer.reports.sentences import split_sentences
from indexer.sources.records import Source
from retriever.case_filter import normalise_report


class Corpus:
    """The indexed reports, each as findings, an empty line and impression."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self.reports: dict[str, str] = {}
        """By case key."""
        self.patients: dict[tuple[str, str], str] = {}
        """Source and patient to a case."""
        self.studies: set[tuple[str, str]] = set()
        for case in cases:
            key = case_key(case.source, case.study_id)
            self.reports[key] = case.report
            self.studies.add((case.source, case.study_id))
            if case.patient_id is not None:
                self.patients[case.source, case.patient_id] = key
        self._words = "".join(f"\n {normalise_report(one)} " for one in self.reports.values())
        self._sentences = {
            normalise_report(sentence)
            for report in self.reports.values()
            for sentence in split_sentences(report)
        }

    def has_sentence(self, text: str) -> bool:
        """Whether some report has this sentence, whatever its case and marks."""
        return normalise_report(text) in self._sentences

    def has_text(self, text: str) -> bool:
        """Whether some report has these sentences, each whole and in this order.

        Parts of a sentence are not enough: "effusion" is a part of "no effusion".
        """
        words = normalise_report(text)
        return f" {words} " in self._words and all(map(self.has_sentence, split_sentences(text)))

    def whole_sentences(self, passage: Passage) -> Passage:
        """Extend a passage to the sentences that it touches."""
        report = self.reports[passage.case]
        last = len(report) if passage.end is None else passage.end
        touched: list[tuple[int, int]] = []
        begin = 0
        for sentence in split_sentences(report):
            found = report.find(sentence, begin)
            if found < 0:  # its white space is not as in the report
                continue
            begin = found + len(sentence)
            if found < last and begin > passage.start:
                touched.append((found, begin))
        if not touched:
            return passage
        start, end = min(touched[0][0], passage.start), max(touched[-1][1], last)
        return replace(passage, start=start, end=end)

    def resolve(self, text: Text, place: str) -> str:
        """The words of a text or a passage. Raises UserError, which names ``place``."""
        if isinstance(text, str):
            return text
        report = self.reports.get(text.case)
        if report is None:
            raise UserError(
                f"{place} names case {text.case}, which the index does not hold: name cases of "
                "this index as source:study_id"
            )
        said = report[text.start : text.end]
        if (text.end or 0) > len(report) or not said.strip():
            raise UserError(
                f"{place} names characters {text.start} to {text.end} of case {text.case}, whose "
                f"report has {len(report)}: offsets count from 0, in findings and impression as "
                "'benchmark corpus' writes them"
            )
        return said

    def passage(self, case: str, text: str) -> Text:
        """A text as a passage of this case where it is one, else as it is."""
        start = self.reports[case].find(text)
        return text if start < 0 else Passage(case=case, start=start, end=start + len(text))


@dataclass(frozen=True, kw_only=True)
class Task:
    """The studies of a split that have images and findings; none is indexed."""

    source: str
    split: str
    studies: tuple[Case, ...]

    @classmethod
    def read(cls, source: Source, corpus: Corpus) -> Self:
        """Raises UserError where a study, or another one of its patient, is indexed."""
        studies = tuple(own_cases(source).values())
        if not studies:
            raise UserError(nothing_left(source))
        for study in studies:
            of_patient = corpus.patients.get((study.source, study.patient_id or ""))
            if (study.source, study.study_id) in corpus.studies or of_patient:
                raise UserError(
                    f"study {study.study_id} of split '{source.split}', or another one of its "
                    "patient, is indexed: score with an index that leaves this split out"
                )
        return cls(source=source.name, split=source.split, studies=studies)

    @property
    def patients(self) -> tuple[str | None, ...]:
        """The patient of each study."""
        return tuple(study.patient_id for study in self.studies)
