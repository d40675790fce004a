"""Written reports as systems that `evaluation.retrieval.scores` scores, and their label F1.

evaluation = evaluate(references.studies, report_systems(outputs, references.studies))
table = label_table(systems, references.studies)

Scored as text are the findings that a report has, without numbers; where it has none, its
impression. Its labels are read from the whole report, as those of the reference are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from db.errors import UserError
from db.labels import FINDINGS, NO_FINDING, OBSERVATIONS, Labels, State, positives
from evaluation.metrics.bootstrap import RESAMPLES, Statistic, mean_of
from evaluation.metrics.labels import f1_statistic, label_counts
from evaluation.metrics.radeval import radeval_scores
from evaluation.outputs.conditions import case_names, marked
from evaluation.outputs.names import BASELINES, CONDITIONS, HEAD, SERVED, VOTE, WITH_RETRIEVAL
from evaluation.outputs.rows import Outputs, ReportRow
from evaluation.reports.references import References
from evaluation.retrieval.studies import EvaluationStudy
from evaluation.retrieval.systems import System
from evaluation.tables import Share, Table, tabulate
from generator.assessment.assess import Assessment, assess
from generator.assessment.calibration import Calibration, Sensitivity
from generator.grounding.citations import check_citations
from generator.grounding.consistency import make_consistent
from generator.grounding.written import WrittenSentence, parse_cited_sentences
from indexer.reports.labeller import label_report
from retriever.knn_votes import Vote

COMMON = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
"""The five that the field averages over: the competition tasks of CheXpert."""

CLINICAL_BERT = "ClinicalBERT similarity"
NOT_COMPUTED = {
    "METEOR": "it needs Java",
    CLINICAL_BERT: "its weights are not given",
    "RadGraph F1": "its weights are not given",
    "CheXbert F1": "its weights are not given",
}
"""What other papers report and a table may lack, and why; never replaced by something else."""

OF_RADEVAL = ("RadGraph F1", "CheXbert F1")
"""Those that RadEval computes, or names as missing itself."""


@lru_cache(maxsize=1 << 15)
def sentences(text: str) -> tuple[WrittenSentence, ...]:
    """A report as it was written, read once however often it is scored."""
    return tuple(parse_cited_sentences(text))


def findings_text(row: ReportRow) -> str:
    """What text metrics score."""
    if row.labels is not None:
        return row.text
    for section in ("findings", "impression"):
        said = [one.text for one in sentences(row.text) if one.section == section]
        if said:
            return " ".join(said)
    return ""


def report_labels(row: ReportRow) -> Labels:
    """What the whole report says of each observation."""
    if row.labels is not None:
        return row.labels
    return label_report(one.text for one in sentences(row.text))


def rows_of(outputs: Outputs, system: str, studies: Sequence[EvaluationStudy]) -> list[ReportRow]:
    """A system's reports in the order of the studies; none where it has not written any.

    Raises UserError for a system that has written some of them.
    """
    rows = outputs.reports.get(system, {})
    found = [rows[study.study_id] for study in studies if study.study_id in rows]
    if found and len(found) < len(studies):
        raise UserError(
            f"'{system}' lacks {len(studies) - len(found)} of {len(studies)} reports in "
            f"{outputs.path}: complete them with --model"
        )
    return found


def report_systems(
    outputs: Outputs, references: References, calibration: Calibration
) -> list[System]:
    """Systems that write reports, the served reports first, and those that only call findings."""
    written = [rows_of(outputs, name, references.studies) for name in (*CONDITIONS, *BASELINES)]
    if written[0]:
        written.insert(0, served(written[0], outputs, references, calibration))
    systems = [
        System(
            name=rows[0].system,
            views=None,
            texts=[findings_text(row) for row in rows],
            labels=[report_labels(row) for row in rows],
        )
        for rows in written
        if rows
    ]
    return [*systems, *calling_systems(outputs, references)]


def served(
    rows: Sequence[ReportRow],
    outputs: Outputs,
    references: References,
    calibration: Calibration,
) -> list[ReportRow]:
    """Citations checked, changes refused, and made to agree with the assessment."""
    return [_served(row, outputs, references, calibration) for row in rows]


def _served(
    row: ReportRow, outputs: Outputs, references: References, calibration: Calibration
) -> ReportRow:
    retrieval = references.retrieval(outputs, row.study_id)
    context = references.context(row.context)
    grounding = check_citations(parse_cited_sentences(row.text), context, retrieval)
    assessment = stored_assessment(outputs, references, row.study_id, calibration)
    agreed = make_consistent(grounding.statements, context, retrieval, assessment)
    return replace(
        row, system=SERVED, text=marked(agreed.statements), context=case_names(agreed.hits)
    )


def stored_assessment(
    outputs: Outputs,
    references: References,
    study_id: str,
    calibration: Calibration,
    sensitivity: Sensitivity = "balanced",
) -> Assessment:
    """The assessment of a study from its stored scores, votes and answers of yes and no."""
    votes = {
        name: Vote(probability=share, low=share, high=share, supporting_ranks=())
        for name, share in outputs.images[study_id].votes.items()
    }
    answered = outputs.classes.get(WITH_RETRIEVAL, {}).get(study_id)
    return assess(
        references.retrieval(outputs, study_id),
        votes,
        calibration=calibration,
        sensitivity=sensitivity,
        language_model=None if answered is None else answered.probabilities,
    )


def calling_systems(outputs: Outputs, references: References) -> list[System]:
    """The vote and the label head, as calls of yes or no on the 13 findings.

    The head calls by the encoder's own thresholds. The vote calls a finding on as many of the
    studies as the share of indexed cases that name it, the likeliest first.
    """
    images = [outputs.images[study.study_id] for study in references.studies]
    votes = np.array([[image.votes[name] for name in FINDINGS] for image in images])
    shares = positives([case.labels for case in references.indexed.values()], FINDINGS).mean(axis=0)
    systems = [System(name=VOTE, views=None, labels=called(votes, shares))]
    seen = [references.retrieval(outputs, image.study_id).image_findings for image in images]
    if all(one is not None for one in seen):
        labels = [_as_labels(one or ()) for one in seen]
        systems.append(System(name=HEAD, views=None, labels=labels))
    return systems


def called(scores: np.ndarray, shares: np.ndarray) -> list[Labels]:
    """Labels of the studies (n, 13) whose score is among the highest ``share`` of its column."""
    return [
        _as_labels([name for name, yes in zip(FINDINGS, row, strict=True) if yes])
        for row in highest(scores, shares)
    ]


def highest(scores: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Which scores (n, c) are among the highest ``share`` of their column: (n, c), boolean."""
    chosen = np.zeros(scores.shape, dtype=bool)
    for column, share in enumerate(shares):
        count = round(float(share) * len(scores))
        chosen[np.argsort(-scores[:, column], kind="stable")[:count], column] = True
    return chosen


def _as_labels(findings: Sequence[str]) -> Labels:
    labels: dict[str, State] = dict.fromkeys(findings, "positive")
    if not set(findings) - {"Support Devices"}:
        labels[NO_FINDING] = "positive"
    return labels


def label_tables(references: References, systems: Sequence[System], resamples: int) -> list[Table]:
    """On all studies, and on those whose findings the index does not hold."""
    studies = references.studies
    tables = [label_table(systems, studies, resamples=resamples)]
    fresh = [not study.in_index for study in studies]
    if any(fresh) and not all(fresh):
        tables.append(
            label_table(
                [_only(system, fresh) for system in systems],
                [study for study in studies if not study.in_index],
                title="Label F1, findings not word for word in the index",
                resamples=resamples,
            )
        )
    return tables


def _only(system: System, chosen: Sequence[bool]) -> System:
    labels = [one for one, yes in zip(system.labels or (), chosen, strict=True) if yes]
    return System(name=system.name, views=None, labels=labels)


def radeval_table(
    python: Path, references: References, systems: Sequence[System], resamples: int
) -> tuple[Table, Mapping[str, str]]:
    """The metrics of RadEval on the findings as written, and what it could not compute."""
    texts = {one.name: one.texts for one in systems if one.texts is not None}
    found = radeval_scores(python, [study.findings for study in references.studies], texts)
    rows = {
        key: {system: mean_of(values) for system, values in each.items()}
        for key, each in found.scores.items()
    }
    notes = [
        f"mean over studies, by radeval {found.version}, on the findings without any cleaning",
        *(f"{name}: not computed, {why}" for name, why in found.missing.items()),
    ]
    title = "Metrics of RadEval"
    table = tabulate(title, rows, patients=references.patients, notes=notes, resamples=resamples)
    return table, found.missing


def label_table(
    systems: Sequence[System],
    studies: Sequence[EvaluationStudy],
    *,
    title: str = "Label F1",
    resamples: int = RESAMPLES,
) -> Table:
    """F1 over the 13 findings and the 5 common ones, and of each observation."""
    references = [study.labels for study in studies]
    rows: dict[str, dict[str, Statistic | Share]] = {}
    for system in systems:
        if system.labels is None:
            continue
        for group, names in (("13 findings", FINDINGS), ("5 common", COMMON)):
            counts = label_counts(references, system.labels, names)
            rows.setdefault(f"micro, {group}", {})[system.name] = f1_statistic(counts)
            rows.setdefault(f"macro, {group}", {})[system.name] = f1_statistic(counts, "macro")
        for name in OBSERVATIONS:
            counts = label_counts(references, system.labels, (name,))
            positives = int((counts[..., 0] + counts[..., 2]).sum())
            if positives:
                row = rows.setdefault(f"{name} ({positives})", {})
                row[system.name] = f1_statistic(counts)
    return tabulate(
        title,
        rows,
        patients=[study.patient_id for study in studies],
        notes=("in brackets: studies whose report names it, uncertain counted as positive",),
        resamples=resamples,
    )
