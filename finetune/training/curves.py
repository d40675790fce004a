"""Plot the log of a training run, one panel beside the other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from db.files import replacing, writing
from finetune.training.log import read_log


def draw_curves(
    log_path: Path, out: Path, panels: Mapping[str, Sequence[str]], *, over: str = "step"
) -> None:
    """Write a PNG with a panel for each title, which shows the values of these names; nothing
    where the log is empty. Values that few lines have are marked with dots.
    """
    from matplotlib.figure import Figure

    lines = [line for line in read_log(log_path) if over in line]
    if not lines:
        return
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    for axes, (title, names) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for name in names:
            drawn = [line for line in lines if name in line]
            axes.plot(
                [line[over] for line in drawn],
                [line[name] for line in drawn],
                marker="o" if len(drawn) < len(lines) else None,
                markersize=3,
                linewidth=0.8,
                label=name,
            )
        axes.set(title=title, xlabel=over)
        axes.legend(fontsize="small")
    with writing(out), replacing(out) as fresh:
        figure.savefig(fresh, dpi=110, format="png")
