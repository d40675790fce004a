"""Check the extractive report's guarantees on a whole split, as served, and measure its label F1.

    python -m bench.generation.extractive --index data/train_index --data-dir DIR --split-file \
        FILE --split val

Every study of the split is searched with all its images and its own study left out, assessed, and
written without a language model. Exit code 1 where a report breaks a promise.
"""

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from bench.openi_split import add_split, split_of
from db.errors import UserError
from db.index.store import Case
from db.labels import FINDINGS, NO_FINDING, Labels
from evaluation.metrics.bootstrap import bootstrap, by_patient, paired_bootstrap
from evaluation.metrics.labels import f1_statistic, label_counts, label_f1
from generator.assessment.assess import Assessment, assess
from generator.assessment.calibration import SENSITIVITIES, Calibration
from generator.extractive import DEFAULT, write_report
from generator.grounding.report import GroundedReport
from generator.without_model import find_to_write
from indexer.images.reader import Limits
from indexer.ingest.studies import decode_study, to_case
from indexer.reports.labeller import LABELLER_VERSION, label_report, label_sentence, mentions
from indexer.reports.sentences import has_redaction, refers_to_prior, split_sentences
from indexer.sources.openi import OpenI
from indexer.sources.records import StudyRecord
from retriever.options import SearchOptions
from retriever.query import image_query
from retriever.results import Retrieval
from retriever.search import Retriever

K = 10

NORMAL: Labels = {NO_FINDING: "positive"}


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study to report on: its own report as reference, its hits and its assessment."""

    labels: Labels
    retrieval: Retrieval
    assessment: Assessment
    patient_id: str | None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_split(parser)
    parser.add_argument("-k", type=int, default=K)
    parser.add_argument("--sensitivity", choices=SENSITIVITIES, default="balanced")
    parser.add_argument("--examples", type=int, default=0, help="also print this many reports")
    arguments = parser.parse_args(argv)
    try:
        retriever = Retriever.open(arguments.index)
        built_with = retriever.index.manifest.labeller_version
        if built_with != LABELLER_VERSION:
            raise UserError(
                f"{arguments.index} was labelled by {built_with}, the references would be by "
                f"{LABELLER_VERSION}: build the index again"
            )
        source = split_of(arguments)
        studies = list(search_split(retriever, source, arguments))
        return measure(retriever, studies, arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def search_split(
    retriever: Retriever, source: OpenI, arguments: argparse.Namespace
) -> Iterator[Study]:
    """Every study of the split that has an image and a report, searched and assessed as served."""
    calibration = Calibration.find(retriever.index)
    sensitivity = arguments.sensitivity
    for record in tqdm(list(source.records()), unit="study", file=sys.stderr):
        if not isinstance(record, StudyRecord):
            continue
        images = decode_study(record, 0, Limits()).images
        case = to_case(record, source.name, 0, images=())
        query = image_query(retriever.encoder, images)
        retrieval, votes = find_to_write(
            retriever,
            query,
            SearchOptions(k=arguments.k, exclude_study_ids=[record.study_id]),
            calibration=calibration,
            sensitivity=sensitivity,
        )
        yield Study(
            labels=case.labels,
            retrieval=retrieval,
            assessment=assess(retrieval, votes, calibration=calibration, sensitivity=sensitivity),
            patient_id=record.patient_id,
        )


def measure(retriever: Retriever, studies: list[Study], arguments: argparse.Namespace) -> int:
    reports = [
        write_report(study.retrieval, assessment=study.assessment)
        for study in tqdm(studies, file=sys.stderr)
    ]
    references = [study.labels for study in studies]
    draw = random.Random(0)
    indexed = list(retriever.index.cases.label_sets().values())
    systems: dict[str, list[Labels]] = {
        "extractive": [report_labels(report) for report in reports],
        "copy the nearest": [study.retrieval.hits[0].case.labels for study in studies],
        "constant normal": [NORMAL] * len(studies),
        "random case": [draw.choice(indexed) for _ in studies],
    }
    manifest = retriever.index.manifest
    print(
        f"{len(studies)} {arguments.split} studies, k = {arguments.k}, sensitivity "
        f"{arguments.sensitivity}, {DEFAULT}"
    )
    print(f"index: {manifest.studies} studies, encoder {manifest.encoder.name}")
    print(f"reference labels: labeller {LABELLER_VERSION}, uncertain counted as positive")
    print(f"{'label F1, micro, 13 findings':30} F1 [95 %]            precision recall  No Finding")
    patients = [study.patient_id for study in studies]
    statistics = {}
    for name, predictions in systems.items():
        score = label_f1(references, predictions)
        statistics[name] = by_patient(f1_statistic(label_counts(references, predictions)), patients)
        interval = bootstrap(statistics[name])
        print(
            f"  {name:28} {score.micro.f1:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
            f"   {score.micro.precision:9.3f} {score.micro.recall:6.3f}"
            f"  {score.no_finding.f1:10.3f}"
        )
    gain = paired_bootstrap(statistics["extractive"], statistics["copy the nearest"])
    print(
        f"  extractive minus copy the nearest: {gain.value:+.3f} "
        f"[{gain.low:+.3f}, {gain.high:+.3f}], paired, p {gain.p:.4f}"
    )
    broken = Counter[str]()
    for report in reports:
        broken.update(broken_promises(report))
    sizes = Counter(len(report.statements) for report in reports)
    citations = [len(s.citations) for report in reports for s in report.statements]
    print(
        f"statements a report: {dict(sorted(sizes.items()))}; "
        f"citations a statement: {sum(citations) / len(citations):.1f}; on the image alone: "
        f"{sum(not s.citations for report in reports for s in report.statements)}"
    )
    for promise in PROMISES:
        print(f"  {promise}: broken {broken[promise]} times")
    for report in reports[: arguments.examples]:
        print("\n" + str(report))
    return 1 if broken else 0


PROMISES = (
    "at least three statements",
    "no sentence twice",
    "no finding in two states",
    "nothing called normal beside its finding",
    "no reference to a prior image",
    "no XXXX",
    "every statement cited, or added by rule",
    "nothing that the assessment contradicts",
    "every present finding stated",
    "every quote in the cited report",
    "every quote says the sentence or its labels",
    "the printed text has the labels of its statements",
)

_CALLED_NORMAL = (
    (r"\blungs? (?:are|is|appear\w*) clear|\bclear lungs", set(FINDINGS[2:8])),
    (r"\bheart (?:size )?(?:is )?(?:normal|within)|\bnormal heart", {"Cardiomegaly"}),
    (
        r"\bno (?:acute|active) (?:cardiopulmonary )?(?:disease|process|abnormalit|finding)"
        r"|\bnormal chest",
        set(FINDINGS) - {"Fracture", "Support Devices"},
    ),
)


def broken_promises(report: GroundedReport) -> Iterator[str]:
    """The promises that a report breaks, by independent reading of its text."""
    if len(report.statements) < 3:
        yield "at least three statements"
    plain = [" ".join(re.findall(r"[a-z]+", s.text.lower())) for s in report.statements]
    if len(set(plain)) < len(plain):
        yield "no sentence twice"
    states: dict[str, set[str]] = {}
    for statement in report.statements:
        for name, state in label_sentence(statement.text).items():
            states.setdefault(name, set()).add(state)
    if any(len(found) > 1 for found in states.values()):
        yield "no finding in two states"
    present = {n for n, found in states.items() if found & {"positive", "uncertain"}}
    abnormal = present - {NO_FINDING, "Support Devices"}
    assert report.assessment is not None
    if report.assessment.contradicted(report_labels(report)):
        yield "nothing that the assessment contradicts"
    if set(report.assessment.present) - present:
        yield "every present finding stated"
    text = report.text.lower()
    if (abnormal and NO_FINDING in present) or any(
        re.search(pattern, text) and present & findings for pattern, findings in _CALLED_NORMAL
    ):
        yield "nothing called normal beside its finding"
    if any(refers_to_prior(s.text) for s in report.statements):
        yield "no reference to a prior image"
    if has_redaction(text):
        yield "no XXXX"
    cases: dict[int, Case] = {hit.rank: hit.case for hit in report.hits}
    for statement in report.statements:
        if not statement.citations and not statement.added_by_rule:
            yield "every statement cited, or added by rule"
        for citation in statement.citations:
            case = cases[citation.number]
            if (case.source, case.study_id) != (citation.source, citation.study_id) or (
                citation.quote not in case.report
            ):
                yield "every quote in the cited report"
        for number in {one.number for one in statement.citations}:
            quotes = [one.quote for one in statement.citations if one.number == number]
            if not say(quotes, statement.text, statement.labels):
                yield "every quote says the sentence or its labels"
    merged = {name for s in report.statements for name, state in s.labels.items()}
    if merged - {NO_FINDING} != set(report_labels(report)) - {NO_FINDING}:
        yield "the printed text has the labels of its statements"


IMPLIED = {
    ("Consolidation", "negative"): "Lung Opacity",
    ("Lung Opacity", "positive"): "Consolidation",
}
"""A label to another finding that implies it in the same state."""


def say(quotes: Sequence[str], text: str, labels: Labels) -> bool:
    """Whether the quotes of one case are the sentence, or together have its labels."""
    if re.findall(r"\w+", " ".join(quotes).lower()) == re.findall(r"\w+", text.lower()):
        return True
    found = {pair for quote in quotes for pair in label_sentence(quote).items()}
    found |= {(one.finding, one.state) for quote in quotes for one in mentions(quote)}
    return all(
        (name, state) in found or (IMPLIED.get((name, state)), state) in found
        for name, state in labels.items()
    )


def report_labels(report: GroundedReport) -> Labels:
    """What the labeller reads in the printed text."""
    return label_report(split_sentences(report.text))


if __name__ == "__main__":
    sys.exit(main())
