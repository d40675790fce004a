"""Plots of an evaluation: ROC curves and reliability of the probabilities."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from db.files import replacing
from db.labels import FINDINGS, OBSERVATIONS, Labels, positives
from evaluation.classification.scores import BINS
from evaluation.metrics.ranking import roc_auc
from evaluation.retrieval.scores import LEAST_POSITIVES

_COLUMNS = [OBSERVATIONS.index(name) for name in FINDINGS]


def write_plots(
    sources: Mapping[str, np.ndarray], labels: Sequence[Labels], out_dir: Path
) -> list[Path]:
    """``roc.png`` and ``reliability.png``, over the 13 findings; sources are (n, 14)."""
    truth = positives(labels)
    common = [column for column in _COLUMNS if truth[:, column].sum() >= LEAST_POSITIVES]
    left, right = _figure("false positive rate", "true positive rate")
    for source, table in sources.items():
        rates = roc_curve(truth[:, _COLUMNS].ravel(), table[:, _COLUMNS].ravel())
        left.plot(*rates, label=source)
    left.set_title("all findings together", fontsize=9)
    first, table = next(iter(sources.items()))
    for column in common:
        area = roc_auc(truth[:, column], table[:, column])
        name = f"{OBSERVATIONS[column]} ({truth[:, column].sum()}), {area:.2f}"
        right.plot(*roc_curve(truth[:, column], table[:, column]), label=name)
    right.set_title(f"{first}, findings of {LEAST_POSITIVES} or more studies", fontsize=9)
    if not common:
        right.text(0.5, 0.5, "none", ha="center", color="grey")
    paths = [_save(left, right, out_dir / "roc.png")]

    left, right = _figure("probability", "share with the finding")
    for source, table in sources.items():
        chance, share, count = reliability(truth[:, _COLUMNS], table[:, _COLUMNS])
        left.plot(chance, share, marker="o", markersize=3, label=source)
        right.plot(chance, count, marker="o", markersize=3, label=source)
    right.set(ylabel="pairs of study and finding", yscale="log")
    return [*paths, _save(left, right, out_dir / "reliability.png")]


def roc_curve(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate at every threshold, from (0, 0) to (1, 1)."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(truth[order])[ends]
    misses = ends + 1 - hits
    rates = [np.append(0.0, one / max(1, one[-1])) for one in (misses, hits)]
    return rates[0], rates[1]


def reliability(
    truth: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probability, frequency and number of pairs in each bin that has any."""
    bins = np.minimum((probabilities.ravel() * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    chance = np.bincount(bins, weights=probabilities.ravel(), minlength=BINS)
    share = np.bincount(bins, weights=truth.ravel().astype(float), minlength=BINS)
    some = counts > 0
    return chance[some] / counts[some], share[some] / counts[some], counts[some]


def _figure(x: str, y: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    left, right = Figure(figsize=(11, 5), layout="constrained").subplots(1, 2)
    for axes in (left, right):
        axes.set(xlabel=x, ylabel=y)
    left.plot([0, 1], [0, 1], linewidth=0.6, color="grey")
    return left, right


def _save(left: Any, right: Any, path: Path) -> Path:
    for axes in (left, right):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    with replacing(path) as fresh:
        left.figure.savefig(fresh, dpi=130, format="png")
    return path
