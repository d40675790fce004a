"""The log of a run as a picture: losses on the left, scores on val on the right."""

import json
from pathlib import Path

SHOWN = ("head", "knn50", "knnx", "terms", "f1", "cider")


def draw_curves(log_path: Path, out: Path) -> None:
    """Write a PNG of every loss and the scores that selection looks at, over the epochs."""
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in log_path.read_text(encoding="utf-8").splitlines()]
    epochs = [line["epoch"] for line in lines]
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in sorted(key for key in lines[-1] if key.startswith("loss_")):
        left.plot(epochs, [line.get(name) for line in lines], label=name.removeprefix("loss_"))
    for name in SHOWN:
        right.plot(epochs, [line.get(name) for line in lines], label=name)
    for axes, title in ((left, "training loss"), (right, "val")):
        axes.set(title=title, xlabel="epoch")
        axes.legend(fontsize="small")
    figure.savefig(out, dpi=110)
