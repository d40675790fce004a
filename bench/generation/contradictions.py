"""Count contradictions between report, caption, classes and answers of the same study.

    python -m bench.generation.contradictions --index data/train_index --data-dir DIR \
        --split-file FILE --split val
    python -m bench.generation.contradictions ... --outputs runs/val/outputs.jsonl

A contradiction is an observation that one text states, for certain or perhaps, and another denies,
read by the labeller. Without ``--outputs`` every task is done without a language model, from the
images. With it, the reports and answers that a language model wrote (`evaluation model`) are served
as a user would get them. Exit code 1 where there is a contradiction.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from bench.openi_split import add_split, split_of
from db.errors import UserError
from db.labels import FINDINGS, NO_FINDING, Labels, positives
from evaluation.metrics.bootstrap import bootstrap
from evaluation.metrics.labels import f1_statistic, label_counts, label_f1
from evaluation.outputs.names import WITH_RETRIEVAL
from evaluation.outputs.rows import Outputs
from evaluation.reports.references import References
from evaluation.reports.systems import report_labels, rows_of, served, stored_assessment
from evaluation.retrieval.studies import embed, read_studies
from generator.assessment.assess import Assessment
from generator.assessment.calibration import SENSITIVITIES, Calibration
from generator.grounding.report import GroundedReport
from generator.prompts import observation_question
from generator.questions.decide import decide
from generator.request import GenerationRequest
from generator.without_model import run_without_model
from indexer.index import Index
from indexer.reports.labeller import label_report
from indexer.reports.sentences import split_sentences
from indexer.sources.openi import OpenI
from retriever.options import SearchOptions
from retriever.results import Retrieval
from retriever.search import Retriever

TASKS = ("report", "caption", "classify")
K = 10
WHOLE = ("Is the film normal?", "What is abnormal?")

Texts = Mapping[str, Labels]
"""Task or question to what the labeller reads in its text."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_split(parser)
    parser.add_argument("--outputs", type=Path, help="of evaluation model, to serve these texts")
    parser.add_argument("--sensitivity", choices=SENSITIVITIES, default="balanced")
    parser.add_argument("--limit", type=int, help="only the first studies")
    arguments = parser.parse_args(argv)
    try:
        source = split_of(arguments)
        if arguments.outputs is None:
            found = list(without_model(Retriever.open(arguments.index), source, arguments))
        else:
            outputs, index = Outputs.read(arguments.outputs), Index.open(arguments.index)
            found = list(of_model(outputs, References.read(source, index, outputs), index))
        return measure(found)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def without_model(
    retriever: Retriever, source: OpenI, arguments: argparse.Namespace
) -> Iterator[tuple[Labels, Texts]]:
    """Reference labels and texts of each study, every task done from its images."""
    studies, _ = read_studies(source, retriever)
    studies = studies[: arguments.limit]
    calibration = Calibration.find(retriever.index)
    queries = embed(retriever.encoder, studies, "both")
    for study, query in zip(tqdm(studies, file=sys.stderr), queries, strict=True):
        texts: dict[str, Labels] = {}
        for task in TASKS:
            request = GenerationRequest(
                task=task,  # type: ignore[arg-type]
                options=SearchOptions(k=K),
                sensitivity=arguments.sensitivity,
            )
            retrieval, report = run_without_model(
                retriever, query, request, calibration=calibration
            )
            assert report.assessment is not None
            texts[task] = read(report)
            if task == "classify":
                texts["states"] = states(report.assessment)
        yield study.labels, {**texts, **answers(report.assessment, retrieval)}


def of_model(
    outputs: Outputs, references: References, index: Index
) -> Iterator[tuple[Labels, Texts]]:
    """The same from what a language model wrote, as served."""
    calibration = Calibration.find(index, outputs.about.adapter or outputs.about.model)
    rows = rows_of(outputs, WITH_RETRIEVAL, references.studies)
    for study, row in zip(
        references.studies, served(rows, outputs, references, calibration), strict=True
    ):
        assessment = stored_assessment(outputs, references, study.study_id, calibration)
        retrieval = references.retrieval(outputs, study.study_id)
        yield (
            study.labels,
            {
                "report": report_labels(row),
                "states": states(assessment),
                **answers(assessment, retrieval),
            },
        )


def read(report: GroundedReport) -> Labels:
    return label_report(statement.text for statement in report.statements)


def states(assessment: Assessment) -> Labels:
    """The table of classes as labels."""
    names = {"present": "positive", "possible": "uncertain", "absent": "negative"}
    found = {one.name: names[one.state] for one in assessment.observations if one.state in names}
    return {
        name: state
        for name, state in found.items()
        if (name, state) != (NO_FINDING, "negative")  # no text denies it
    }  # type: ignore[return-value]


def answers(assessment: Assessment, retrieval: Retrieval) -> Texts:
    """One question for each observation, and two about the whole."""
    texts: dict[str, Labels] = {}
    for question in (*map(observation_question, FINDINGS), *WHOLE):
        answer = decide(question, assessment, retrieval)
        if answer is not None:
            texts[question] = label_report(split_sentences(answer.text))
    return texts


def contradictions(texts: Texts) -> list[tuple[str, str, str]]:
    """Observation, the task that states it, and the one that denies it."""
    found = []
    for name in (*FINDINGS, NO_FINDING):
        said = {task: labels[name] for task, labels in texts.items() if name in labels}
        stated = [task for task, state in said.items() if state != "negative"]
        denied = [task for task, state in said.items() if state == "negative"]
        if stated and denied:
            found.append((name, stated[0], denied[0]))
    return found


def measure(studies: Sequence[tuple[Labels, Texts]]) -> int:
    references = [labels for labels, _ in studies]
    predictions = [texts["report"] for _, texts in studies]
    score = label_f1(references, predictions)
    interval = bootstrap(f1_statistic(label_counts(references, predictions)))
    named = int(positives(predictions, FINDINGS).sum())
    print(
        f"{len(studies)} studies, {sum(len(texts) for _, texts in studies)} texts; reports: label "
        f"micro-F1 {score.micro.f1:.3f} [{interval.low:.3f}, {interval.high:.3f}], precision "
        f"{score.micro.precision:.3f}, recall {score.micro.recall:.3f}, No Finding F1 "
        f"{score.no_finding.f1:.3f}, {named} findings named"
    )
    found = [contradictions(texts) for _, texts in studies]
    pairs = Counter(one for some in found for one in some)
    print(f"contradictions: {sum(pairs.values())} in {sum(map(bool, found))} studies")
    for (name, stated, denied), count in pairs.most_common(20):
        print(f"  {count:4} {name}: stated in '{stated}', denied in '{denied}'")
    return 1 if pairs else 0


if __name__ == "__main__":
    sys.exit(main())
