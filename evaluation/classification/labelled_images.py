"""AUC of an encoder's label scores on images with labels and no report, resampled by patient.

    scored = score_images(images, encoder, name="pretrained/encoder")
    to_text(auc_table(images, [scored, baseline], resamples=10_000))

The mean is over the observations that 20 or more of the images show, No Finding apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from db.errors import UserError
from db.labels import EXTRA_FINDINGS, NO_FINDING, OBSERVATIONS
from evaluation.metrics.bootstrap import (
    Statistic,
    average,
    by_patient,
    restrict,
)
from evaluation.metrics.ranking import auc_statistic
from evaluation.tables import Cell, Table, minus, tabulate
from indexer.cli.progress import progress_bar
from indexer.encoder.spec import Encoder
from indexer.images.reader import read_radiograph
from indexer.sources.nih_folders import (
    NIH_LABELS,
    NihImage,
    label_table,
    observed,
)

MIN_POSITIVES = 20
_BATCH = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """What an encoder scores on n images."""

    name: str
    weights_sha256: str
    labels: npt.NDArray[np.float32]  # (n, 14)
    extra: npt.NDArray[np.float32] | None  # (n, 5)


def score_images(images: Sequence[NihImage], encoder: Encoder, *, name: str) -> Scored:
    """Score images, one a study. Raises UserError for an encoder without a label head."""
    labels: list[npt.NDArray[np.float32]] = []
    extra: list[npt.NDArray[np.float32]] = []
    starts = range(0, len(images), _BATCH)
    for start in progress_bar(starts, unit="batch"):
        pixels = [read_radiograph(image.path).pixels for image in images[start : start + _BATCH]]
        found = encoder.embed_images(pixels)
        if found.label_scores is None:
            raise UserError(f"the encoder '{name}' has no label head, so it scores no labels")
        labels.append(found.label_scores)
        if found.extra_scores is not None:
            extra.append(found.extra_scores)
    return Scored(
        name=name,
        weights_sha256=encoder.spec.weights_sha256,
        labels=np.concatenate(labels),
        extra=np.concatenate(extra) if extra else None,
    )


def auc_table(images: Sequence[NihImage], scored: Sequence[Scored], *, resamples: int) -> Table:
    """Tabulate mean and single AUCs of one encoder, or of one, another, and their difference."""
    labels = label_table([image.labels for image in images])
    truth, known = observed(labels)
    patients = [image.patient_id for image in images]
    folders = np.array([image.folder for image in images])
    everywhere = np.ones(len(images), np.bool_)
    rows: dict[str, dict[str, Cell]] = {}

    def auc(
        shown: npt.NDArray[np.uint8],
        scores: npt.NDArray[np.float32],
        chosen: npt.NDArray[np.bool_] = everywhere,
    ) -> Statistic:
        return restrict(by_patient(auc_statistic(shown, scores), patients), chosen)

    def add(name: str, chosen: npt.NDArray[np.bool_]) -> list[int]:
        shown = truth[chosen].sum(axis=0)
        columns = [
            column
            for column in np.flatnonzero(known).tolist()
            if OBSERVATIONS[column] != NO_FINDING and MIN_POSITIVES <= shown[column] < chosen.sum()
        ]
        if columns:
            rows[f"{name} ({len(columns)} observations)"] = _compared(
                [
                    average([auc(truth[:, c], one.labels[:, c], chosen) for c in columns])
                    for one in scored
                ],
                scored,
            )
        return columns

    columns = add("mean", everywhere)
    for folder in dict.fromkeys(folders.tolist()):
        add(f"mean, {folder}", folders == folder)
    for column in sorted({*columns, OBSERVATIONS.index(NO_FINDING)}):
        positives = int(truth[:, column].sum())
        if 0 < positives < len(images):
            rows[f"{OBSERVATIONS[column]} ({positives})"] = _compared(
                [auc(truth[:, column], one.labels[:, column]) for one in scored],
                scored,
            )
    for column, name in enumerate(EXTRA_FINDINGS):
        shown = labels[:, NIH_LABELS.index(name)]
        having = [s for s in scored if s.extra is not None]
        if having and 0 < int(shown.sum()) < len(images):
            rows[f"{name} ({int(shown.sum())})"] = _compared(
                [auc(shown, s.extra[:, column]) for s in having if s.extra is not None],
                having,
            )
    return tabulate(
        "AUC by images, intervals by patient",
        rows,
        notes=(f"{len(images)} images of {len(set(patients))} patients",),
        resamples=resamples,
    )


def _compared(statistics: Sequence[Statistic], scored: Sequence[Scored]) -> dict[str, Cell]:
    cells: dict[str, Cell] = {
        one.name: value for one, value in zip(scored, statistics, strict=True)
    }
    for one, statistic in zip(scored[1:], statistics[1:], strict=True):
        name = "difference" if len(statistics) == 2 else f"minus {one.name}"
        cells[name] = minus(statistics[0], statistic)
    return cells
