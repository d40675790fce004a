"""An evaluation as JSON, as a table for a terminal and as plots.

document = to_document(evaluation, provenance(...))
print(to_table(evaluation, ...))
write_plots(evaluation, out_dir)
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from db.labels import OBSERVATIONS
from evaluation.layout import lay_out, wrapped
from evaluation.metrics.bootstrap import Interval
from evaluation.provenance import Provenance
from evaluation.retrieval.scores import AUC_MEAN, AUC_PR_MEAN, LEAST_POSITIVES, Evaluation, Subset
from evaluation.tables import FEW, format_p, without_nan

TEXT = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr")
LABELS = ("label micro-F1", "label macro-F1", "No Finding F1", AUC_MEAN, AUC_PR_MEAN)
RANKING = (
    *("precision@1", "precision@5", "precision@10", "nDCG@10"),
    *("precision@5, with findings", "nDCG@10, with findings"),
)
OWN_REPORT = ("own report recall@1", "own report recall@5", "own report recall@10", "flagged")


def to_document(evaluation: Evaluation, origin: Provenance) -> dict[str, Any]:
    """As JSON values; an undefined number is null."""
    values: dict[str, Any] = {"provenance": asdict(origin), **asdict(evaluation)}
    cleaned: dict[str, Any] = without_nan(values)
    return cleaned


def to_table(evaluation: Evaluation, origin: Provenance) -> str:
    """For a terminal: a block a subset, a row a system and a row an observation."""
    notes = (
        f"split {origin.split} of {origin.source}; index {origin.index_fingerprint[:12]}, encoder "
        f"{origin.encoder} (weights {origin.weights_sha256[:12]})",
        f"reference text: {origin.reference_text}, cleaning {origin.cleaning}; reference labels: "
        f"labeller {origin.reference_labeller} on {origin.reference_labels_from}",
        f"[..] 95 % intervals, patients resampled {origin.resamples} times; votes of "
        f"{origin.votes_of} cases, temperature {origin.vote_temperature}",
    )
    lines = [line for note in notes for line in wrapped(note, indent="  ")]
    for subset in evaluation.subsets:
        lines += ["", f"== {subset.name}: {subset.studies} studies =="]
        for metrics in (TEXT, LABELS, RANKING, OWN_REPORT):
            lines += _block(subset, metrics)
        lines += _auc_rows(subset)
        lines += _differences(subset)
    return "\n".join(lines)


def write_plots(evaluation: Evaluation, out_dir: Path) -> list[Path]:
    """PNG files: AUC an observation, and label F1 beside CIDEr."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    subset = evaluation.subsets[0]
    rows = [f"AUC {name}" for name in OBSERVATIONS if subset.positives[name] > 0] + [AUC_MEAN]
    shapes = {
        "auc.png": (rows, 9.0),
        "labels.png": (list(LABELS[:3]), 3.5),
        "cider.png": (["CIDEr"], 2.5),
    }
    paths = []
    for name, (metrics, height) in shapes.items():
        figure = Figure(figsize=(9, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        systems = [s for s, figures in subset.figures.items() if any(m in figures for m in metrics)]
        for number, system in enumerate(systems):
            figures = subset.figures[system]
            some = [(place, figures[m]) for place, m in enumerate(metrics) if m in figures]
            axes.errorbar(
                [one.value for _, one in some],
                [place + 0.7 * (number / max(1, len(systems) - 1) - 0.5) for place, _ in some],
                xerr=[
                    [max(0.0, one.value - one.low) for _, one in some],
                    [max(0.0, one.high - one.value) for _, one in some],
                ],
                fmt="o",
                markersize=4,
                label=system,
            )
        axes.set_yticks(range(len(metrics)), [_with_count(metric, subset) for metric in metrics])
        axes.invert_yaxis()
        axes.set_title(f"{subset.name} ({subset.studies}), 95 % intervals", fontsize=9)
        axes.legend(fontsize=7)
        figure.savefig(out_dir / name, dpi=150)
        paths.append(out_dir / name)
    return paths


def _with_count(metric: str, subset: Subset) -> str:
    observation = metric.removeprefix("AUC ")
    count = subset.positives.get(observation)
    return metric if count is None else f"{observation} ({count})"


def _block(subset: Subset, metrics: Sequence[str]) -> list[str]:
    """Systems that have any of these metrics, one row each."""
    rows = [
        (system, [_cell(figures.get(metric), subset.studies) for metric in metrics])
        for system, figures in subset.figures.items()
        if figures.keys() & set(metrics)
    ]
    return ["", *lay_out([_short(metric) for metric in metrics], rows)] if rows else []


def _auc_rows(subset: Subset) -> list[str]:
    systems = [
        system
        for system, figures in subset.figures.items()
        if any(f"AUC {name}" in figures for name in OBSERVATIONS)
    ]
    if not systems:
        return []
    rows = []
    for name in OBSERVATIONS:
        count = subset.positives[name]
        marked = f"{name} ({count}){' *' if name in subset.mean_over else ''}"
        least = min(count, subset.studies - count)
        cells = [_cell(subset.figures[system].get(f"AUC {name}"), least) for system in systems]
        rows.append((marked, cells))
    title = (
        "AUC, with the positives of each observation (the mean is over findings with "
        f"{LEAST_POSITIVES} or more, marked *)"
    )
    return ["", *wrapped(title), *lay_out(systems, rows)]


def _differences(subset: Subset) -> list[str]:
    first = next(iter(subset.figures))
    found = {system: figures for system, figures in subset.differences.items() if figures}
    metrics = list(dict.fromkeys(metric for figures in found.values() for metric in figures))
    rows = [
        (system, [_cell(figures.get(metric), subset.studies, sign="+") for metric in metrics])
        for system, figures in found.items()
    ]
    return ["", f"{first} minus ..., paired", *lay_out(metrics, rows)] if rows else []


def _short(metric: str) -> str:
    return metric.replace("own report ", "own ").replace(", with findings", " (finding)")


def _cell(interval: Interval | None, studies: int, sign: str = "") -> str:
    if interval is None or interval.value != interval.value:
        return "-"
    if studies < FEW:
        return "too few"
    p = "" if interval.p is None else f" {format_p(interval.p)}"
    return f"{interval.value:{sign}.3f} [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]{p}"
