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
from evaluation.metrics.bootstrap import Interval
from evaluation.provenance import Provenance
from evaluation.retrieval.scores import AUC_MEAN, AUC_PR_MEAN, LEAST_POSITIVES, Evaluation, Subset
from evaluation.tables import format_p, without_nan

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
    lines = [
        f"split {origin.split} of {origin.source}; index {origin.index_fingerprint[:12]}, encoder "
        f"{origin.encoder} (weights {origin.weights_sha256[:12]})",
        f"reference text: {origin.reference_text}, cleaning {origin.cleaning}; reference labels: "
        f"labeller {origin.reference_labeller} on {origin.reference_labels_from}",
        f"[..] 95 % intervals, patients resampled {origin.resamples} times; votes of "
        f"{origin.votes_of} cases, temperature {origin.vote_temperature}",
    ]
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
    rows = [(s, figures) for s, figures in subset.figures.items() if figures.keys() & set(metrics)]
    if not rows:
        return []
    head = "  ".join(f"{_short(metric):>20}" for metric in metrics)
    width = max(len(system) for system in subset.figures) + 2
    lines = ["", f"{'':{width}}{head}"]
    for system, figures in rows:
        cells = (_cell(figures.get(metric)) for metric in metrics)
        lines.append(f"{system:{width}}{'  '.join(f'{cell:>20}' for cell in cells)}".rstrip())
    return lines


def _auc_rows(subset: Subset) -> list[str]:
    systems = [
        system
        for system, figures in subset.figures.items()
        if any(f"AUC {name}" in figures for name in OBSERVATIONS)
    ]
    if not systems:
        return []
    lines = ["", f"AUC (mean over findings with {LEAST_POSITIVES}+ positives, marked *)"]
    lines += [f"  ({number}) {system}" for number, system in enumerate(systems, start=1)]
    head = "  ".join(f"{f'({number})':>20}" for number in range(1, len(systems) + 1))
    lines.append(f"{'observation':30}{'positives':>10}  {head}")
    for name in OBSERVATIONS:
        cells = [_cell(subset.figures[system].get(f"AUC {name}")) for system in systems]
        marked = f"{name} *" if name in subset.mean_over else name
        row = "  ".join(f"{cell:>20}" for cell in cells)
        lines.append(f"{marked:30}{subset.positives[name]:10}  {row}")
    return lines


def _differences(subset: Subset) -> list[str]:
    first = next(iter(subset.figures))
    lines = ["", f"{first} minus ..., paired"]
    for system, figures in subset.differences.items():
        parts = (f"{metric} {_cell(value, sign='+')}" for metric, value in figures.items())
        if figures:
            lines.append(f"  {system}: {'; '.join(parts)}")
    return lines


def _short(metric: str) -> str:
    return metric.replace("own report ", "own ").replace(", with findings", " (finding)")


def _cell(interval: Interval | None, sign: str = "") -> str:
    if interval is None:
        return "-"
    p = "" if interval.p is None else f" {format_p(interval.p)}"
    return f"{interval.value:{sign}.3f} [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]{p}"
