"""How well an encoder reads the labelled images of val patients."""

import numpy as np
import torch
from torch import Tensor

from db.labels import EXTRA_FINDINGS, NO_FINDING, OBSERVATIONS
from evaluation.metrics.ranking import roc_auc
from finetune.encoder.labelled.images import LabelledImages
from finetune.encoder.scores import embed_images
from indexer.encoder.network import ImageNetwork
from indexer.sources.nih_folders import NIH_LABELS

MIN_POSITIVES = 20


def labelled_scores(
    network: ImageNetwork, images: Tensor, labelled: LabelledImages
) -> dict[str, float]:
    """Return AUCs on images (f, h, w) of val patients.

    ``labelled`` is the mean of the label head over the findings with enough positives, ``auc_...``
    that of each finding, with less than those too.
    """
    val = np.flatnonzero(labelled.val)
    if len(val) == 0:
        return {}
    embedded = embed_images(network, images[torch.from_numpy(val).to(images.device)])
    observations, known = labelled.observed()
    truth, each, mean = observations[val], {}, []
    for column, name in enumerate(OBSERVATIONS):
        positives = int(truth[:, column].sum())
        if name == NO_FINDING or not known[column] or not 0 < positives < len(val):
            continue
        each[f"auc_{name}"] = roc_auc(truth[:, column], embedded.labels[:, column])
        if positives >= MIN_POSITIVES:
            mean.append(each[f"auc_{name}"])
    for column, name in enumerate(EXTRA_FINDINGS):
        shown = labelled.labels[val, NIH_LABELS.index(name)]
        if 0 < int(shown.sum()) < len(val):
            each[f"auc_{name}"] = roc_auc(shown, embedded.extra[:, column])
    return {"labelled": float(np.mean(mean)) if mean else float("nan"), **each}
