"""Systems against the reports of a split: every figure with a 95 % interval, differences paired.

studies, without = read_studies(source, retriever)
evaluation = evaluate(studies, systems)
evaluation.subsets[0].figures["trained, both views"]["label micro-F1"].value

Reference text: the FINDINGS section alone, cleaned as `CLEANING` names it. Reference labels: what
`LABELLER_VERSION` reads in the whole report. Intervals: patients resampled 10,000 times, each with
all its studies; document frequencies of CIDEr are those of all references of the split, also in a
subset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from db.errors import UserError
from db.labels import FINDINGS, NO_FINDING, OBSERVATIONS, positives
from evaluation.metrics.bootstrap import (
    RESAMPLES,
    Interval,
    Statistic,
    average,
    bootstrap,
    by_patient,
    mean_of,
    paired_bootstrap,
    restrict,
)
from evaluation.metrics.labels import f1_statistic, label_counts
from evaluation.metrics.ranking import (
    auc_statistic,
    average_precision_statistic,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from evaluation.metrics.text import clean_r2gen, text_statistics
from evaluation.retrieval.studies import EvaluationStudy
from evaluation.retrieval.systems import System

LEAST_POSITIVES = 10
"""Positives of an observation for it to count in a mean AUC."""

AUC_MEAN, AUC_PR_MEAN = "AUC mean", "AUC-PR mean"
COMPARED = ("BLEU-4", "ROUGE-L", "CIDEr", "label micro-F1", "label macro-F1", AUC_MEAN, "nDCG@10")
"""Metrics whose difference between two systems gets an interval."""

_RANKS = (1, 5, 10)

Figures = Mapping[str, Interval]
"""Metric to value and interval."""


@dataclass(frozen=True, kw_only=True)
class Subset:
    """All figures on some of the studies."""

    name: str
    studies: int
    positives: Mapping[str, int]
    """Observation to studies whose report names it, positive or uncertain."""
    mean_over: tuple[str, ...]
    """The findings with enough positives to count in a mean AUC; No Finding never does."""
    figures: Mapping[str, Figures]
    """By system."""
    differences: Mapping[str, Figures]
    """By system: the first system minus it, paired, with the p of paired randomization."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The same systems on every subset; the first subset is all studies."""

    subsets: tuple[Subset, ...]


def evaluate(
    studies: Sequence[EvaluationStudy],
    systems: Sequence[System],
    *,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Score the systems, the first of which is compared with each other one.

    Raises UserError for no study or two systems of one name.
    """
    if not studies or not systems:
        raise UserError("an evaluation needs at least one study and one system")
    names = [title(system) for system in systems]
    if len(set(names)) < len(names):
        raise UserError(f"two systems have the same name: {', '.join(names)}")
    patients = [study.patient_id for study in studies]
    statistics = {
        title(system): {
            metric: by_patient(one, patients)
            for metric, one in _statistics(system, studies).items()
        }
        for system in systems
    }
    labels = positives([study.labels for study in studies])
    everything = np.ones(len(studies), dtype=bool)
    fresh = np.array([not study.in_index for study in studies])
    subsets = [_subset("all studies", statistics, labels, everything, resamples)]
    if fresh.any() and not fresh.all():
        subsets.append(
            _subset("findings not word for word in the index", statistics, labels, fresh, resamples)
        )
    return Evaluation(subsets=tuple(subsets))


def title(system: System) -> str:
    """Return a system's name with its views."""
    return f"{system.name}, {system.views}" if system.views else system.name


def _statistics(system: System, studies: Sequence[EvaluationStudy]) -> dict[str, Statistic]:
    """Return all statistics of one system over all studies."""
    found: dict[str, Statistic] = {}
    references = [study.labels for study in studies]
    if system.texts is not None:
        found |= text_statistics(
            [clean_r2gen(study.findings) for study in studies],
            [clean_r2gen(text) for text in system.texts],
        )
    if system.labels is not None:
        counts = label_counts(references, system.labels)
        found["label micro-F1"] = f1_statistic(counts)
        found["label macro-F1"] = f1_statistic(counts, "macro")
        no_finding = label_counts(references, system.labels, (NO_FINDING,))
        found["No Finding F1"] = f1_statistic(no_finding)
    if system.relevance is not None and system.ideal is not None:
        abnormal = positives(references, FINDINGS).any(axis=1)
        for k in _RANKS:
            precision = precision_at_k(system.relevance, k)
            found[f"precision@{k}"] = mean_of(precision)
            found[f"precision@{k}, with findings"] = mean_of(np.where(abnormal, precision, np.nan))
        gain = ndcg_at_k(system.relevance, _RANKS[-1], pool=system.ideal)
        found["nDCG@10"] = mean_of(gain)
        found["nDCG@10, with findings"] = mean_of(np.where(abnormal, gain, np.nan))
    if system.flagged is not None:
        found["flagged"] = mean_of(system.flagged)
    if system.own_report_ranks is not None:
        for k in _RANKS:
            found[f"own report recall@{k}"] = mean_of(recall_at_k(system.own_report_ranks, k))
    if system.scores is not None:
        table = positives(references)
        for column, name in enumerate(OBSERVATIONS):
            found[f"AUC {name}"] = auc_statistic(table[:, column], system.scores[:, column])
            found[f"AUC-PR {name}"] = average_precision_statistic(
                table[:, column], system.scores[:, column]
            )
    return found


def _subset(
    name: str,
    statistics: Mapping[str, Mapping[str, Statistic]],
    labels: npt.NDArray[np.bool_],
    chosen: npt.NDArray[np.bool_],
    resamples: int,
) -> Subset:
    counts = dict(zip(OBSERVATIONS, (int(n) for n in labels[chosen].sum(axis=0)), strict=True))
    enough = [finding for finding in FINDINGS if counts[finding] >= LEAST_POSITIVES]
    here: dict[str, dict[str, Statistic]] = {}
    for system, metrics in statistics.items():
        here[system] = {metric: restrict(one, chosen) for metric, one in metrics.items()}
        for mean, kind in ((AUC_MEAN, "AUC"), (AUC_PR_MEAN, "AUC-PR")):
            if enough and f"{kind} {NO_FINDING}" in metrics:
                here[system][mean] = average([here[system][f"{kind} {one}"] for one in enough])
    first = next(iter(here.values()))
    return Subset(
        name=name,
        studies=int(chosen.sum()),
        positives=counts,
        mean_over=tuple(enough),
        figures={
            system: {
                metric: bootstrap(one, resamples=resamples)
                for metric, one in metrics.items()
                if metric.split(" ", 1)[-1] not in OBSERVATIONS
                or counts[metric.split(" ", 1)[-1]] > 0
            }
            for system, metrics in here.items()
        },
        differences={
            system: {
                metric: paired_bootstrap(first[metric], metrics[metric], resamples=resamples)
                for metric in COMPARED
                if metric in first and metric in metrics
            }
            for system, metrics in here.items()
            if metrics is not first
        },
    )
