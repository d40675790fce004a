"""The log of a training run as a picture: loss, learning rate and speed over the steps."""

from pathlib import Path

from finetune.log import read_log


def draw_curves(log_path: Path, out: Path) -> None:
    """Write a PNG; nothing where the log is empty."""
    from matplotlib.figure import Figure

    lines = read_log(log_path)
    steps = [line for line in lines if "loss" in line]
    scored = [line for line in lines if "val_loss" in line]
    if not steps:
        return
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    at = [line["step"] for line in steps]
    left.plot(at, [line["loss"] for line in steps], linewidth=0.8, label="training")
    if scored:
        left.plot(
            [line["step"] for line in scored],
            [line["val_loss"] for line in scored],
            marker="o",
            markersize=3,
            label="validation",
        )
    left.legend(fontsize="small")
    middle.plot(at, [line["lr"] for line in steps])
    right.plot(at, [line["tokens_per_second"] for line in steps], linewidth=0.8)
    for axes, title in ((left, "loss"), (middle, "learning rate"), (right, "tokens a second")):
        axes.set(title=title, xlabel="step")
    waiting = out.with_name(out.name + ".tmp")
    figure.savefig(waiting, dpi=110, format="png")
    waiting.replace(out)
