"""Trivial systems of the citation benchmark, and submissions from stored outputs.

submissions = [*trivial_systems(retriever, studies, corpus, split="val"), *of_outputs(...)]
for submission in submissions:
    write_submission(submission, folder)

None of the trivial systems has a language model; each shows what a measure is worth by itself. What
stands in an indexed report is written as a passage of it, so that no report leaves its data set.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from db.index.case import Case, case_key
from db.labels import named
from evaluation.grounding.claims import evidence_of, holds_whole
from evaluation.grounding.corpus import Corpus
from evaluation.grounding.submission import FORMAT, Passage, Submission, SubmittedReport, Text
from evaluation.outputs.conditions import K_EXTRACTIVE
from evaluation.outputs.names import SERVED, WITH_RETRIEVAL, WITHOUT_RETRIEVAL
from evaluation.outputs.rows import Outputs, ReportRow
from evaluation.reports.references import References
from evaluation.reports.systems import rows_of, sentences, served
from evaluation.retrieval.studies import EvaluationStudy, embed
from evaluation.retrieval.systems import SEED, most_frequent_findings
from generator.assessment.calibration import Calibration
from generator.assessment.wording import bare_sentence
from generator.request import GenerationRequest
from generator.without_model import run_without_model
from indexer.reports.labeller import label_sentence
from indexer.reports.sentences import split_sentences
from retriever.case_filter import normalise_report
from retriever.options import SearchOptions
from retriever.search import Retriever

COPIED_CASES = 3
"""Nearest cases whose findings are copied by rule."""

OWN_REPORT = "own report (no system)"

ABOUT = {
    "constant": "the most frequent findings of the index, for every study",
    "random case": "the findings of a case drawn at random",
    "nearest case": "the findings of the nearest case",
    "copying by rule": f"each sentence of the {COPIED_CASES} nearest cases that names a finding, "
    "and the others of the nearest",
    "label head in fixed words": "one sentence for each finding of the label head, citing the hits "
    "that say it",
    "extractive": "the extractive report, without a language model",
    "extractive, cites at random": "the same sentences, citing hits drawn at random",
    OWN_REPORT: "the study's own report, citing the hits that say it: no system, but how much of "
    "what a radiologist wrote similar cases say as well",
    SERVED: "the language model's reports after the check of citations, as users get them",
    WITH_RETRIEVAL: "the language model as it writes, before any check",
    f"{WITH_RETRIEVAL}, cites at random": "the same sentences, citing shown cases drawn at random",
    WITHOUT_RETRIEVAL: "the language model without retrieved cases, which cites nothing",
}


@dataclass(frozen=True, kw_only=True)
class _Cited:
    """A sentence with the numbers it cites."""

    text: str
    numbers: tuple[int, ...]


def trivial_systems(
    retriever: Retriever,
    studies: Sequence[EvaluationStudy],
    corpus: Corpus,
    *,
    split: str,
    calibration: Calibration,
) -> list[Submission]:
    """Write the reports of all systems that need no language model."""
    cases = [case for case in retriever.index.cases if case.findings]
    most = most_frequent_findings(cases)
    typical = next(case for case in cases if case.findings == most)
    draw = random.Random(SEED)
    reports: dict[str, list[SubmittedReport]] = {}
    for study, query in zip(studies, embed(retriever.encoder, studies, "both"), strict=True):
        hits = retriever.find(query, SearchOptions(k=K_EXTRACTIVE)).hits
        nearest = [hit.case for hit in hits if hit.case.findings] or [hits[0].case]
        retrieval, report = run_without_model(
            retriever, query, GenerationRequest(options=SearchOptions(k=K_EXTRACTIVE)),
            calibration=calibration,
        )  # fmt: skip
        extractive = [
            _Cited(text=one.text, numbers=tuple(sorted({c.number for c in one.citations})))
            for one in report.statements
        ]
        shown = [hit.case for hit in retrieval.hits]
        written = {
            "constant": (copied(typical), [typical]),
            "random case": (copied(drawn := draw.choice(cases)), [drawn]),
            "nearest case": (copied(nearest[0]), nearest[:1]),
            "copying by rule": (copied_by_rule(nearest[:COPIED_CASES]), nearest[:COPIED_CASES]),
            "extractive": (extractive, shown),
            "extractive, cites at random": (at_random(extractive, len(shown), draw), shown),
            OWN_REPORT: (citing(split_sentences(study.report), shown), shown),
        }
        if query.image_findings is not None:
            named_by_head = [bare_sentence(name) for name in sorted(query.image_findings)]
            written["label head in fixed words"] = (citing(named_by_head, shown), shown)
        for name, (cited, texts) in written.items():
            reports.setdefault(name, []).append(_submitted(study.study_id, cited, texts, corpus))
    return [_submission(name, some, split) for name, some in reports.items()]


def of_outputs(
    outputs: Outputs, references: References, corpus: Corpus, *, calibration: Calibration
) -> list[Submission]:
    """Turn a language model's stored reports into submissions, whatever conditions there are.

    ``references`` are those of the outputs, ``calibration`` the one that the reports are served
    with. Raises UserError for a condition that lacks some of the reports.
    """
    rows = {
        condition: rows_of(outputs, condition, references.studies)
        for condition in (WITH_RETRIEVAL, WITHOUT_RETRIEVAL)
    }
    written = rows[WITH_RETRIEVAL]
    found = {
        SERVED: _of_rows(served(written, outputs, references, calibration), references, corpus),
        WITH_RETRIEVAL: _of_rows(written, references, corpus),
        f"{WITH_RETRIEVAL}, cites at random": _of_rows(
            written, references, corpus, draw=random.Random(SEED)
        ),
        WITHOUT_RETRIEVAL: _of_rows(rows[WITHOUT_RETRIEVAL], references, corpus),
    }
    split = outputs.about.split
    return [_submission(name, reports, split) for name, reports in found.items() if reports]


def copied(case: Case) -> list[_Cited]:
    """The findings of a case, citing it."""
    return [_Cited(text=text, numbers=(1,)) for text in split_sentences(case.findings)]


def copied_by_rule(cases: Sequence[Case]) -> list[_Cited]:
    """Every sentence that names a finding, and what else the first case says."""
    found: dict[str, _Cited] = {}
    for number, case in enumerate(cases, start=1):
        for text in split_sentences(case.findings):
            if number == 1 or named(label_sentence(text)):
                found.setdefault(normalise_report(text), _Cited(text=text, numbers=(number,)))
    return list(found.values())


def citing(texts: Sequence[str], shown: Sequence[Case]) -> list[_Cited]:
    """Each sentence with the cases whose report alone supports all that it says."""
    return [
        _Cited(
            text=text,
            numbers=tuple(
                number
                for number, case in enumerate(shown, start=1)
                if holds_whole(text, evidence_of(case.report))
            ),
        )
        for text in texts
    ]


def at_random(written: Sequence[_Cited], shown: int, draw: random.Random) -> list[_Cited]:
    """As many citations a sentence as before, of texts drawn at random."""
    return [
        replace(one, numbers=tuple(draw.sample(range(1, shown + 1), min(shown, len(one.numbers)))))
        for one in written
    ]


def _of_rows(
    rows: Iterable[ReportRow],
    references: References,
    corpus: Corpus,
    draw: random.Random | None = None,
) -> list[SubmittedReport]:
    reports = []
    for row in rows:
        cited = [_Cited(text=one.text, numbers=one.numbers) for one in sentences(row.text)]
        shown = [references.indexed[name] for name in row.context]
        if draw is not None:
            cited = at_random(cited, len(shown), draw)
        reports.append(_submitted(row.study_id, cited, shown, corpus))
    return reports


def _submitted(
    study_id: str, cited: Sequence[_Cited], shown: Sequence[Case], corpus: Corpus
) -> SubmittedReport:
    keys = [case_key(case.source, case.study_id) for case in shown]
    return SubmittedReport(
        study_id=study_id,
        sentences=tuple(_passage(one, keys, corpus) for one in cited),
        citations=tuple(tuple(n for n in one.numbers if n > 0) for one in cited),
        cited_texts=tuple(Passage(case=key) for key in keys),
    )


def _passage(cited: _Cited, keys: Sequence[str], corpus: Corpus) -> Text:
    """The sentence as a passage of a case shown, where it stands in one."""
    for key in keys:
        found = corpus.passage(key, cited.text)
        if isinstance(found, Passage):
            return found
    return cited.text


def _submission(name: str, reports: Sequence[SubmittedReport], split: str) -> Submission:
    return Submission(
        format=FORMAT, system=name, split=split, about=ABOUT[name], reports=tuple(reports)
    )
