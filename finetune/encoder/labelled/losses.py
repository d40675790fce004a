"""Draws, targets and losses of images that have labels and no report.

They are mixed in pairs, images and labels alike (Zhang et al., "mixup", ICLR 2018): the few
patients are otherwise soon known by heart. Most are stored at half the size of the others, so that
blur would say where an image is from; some of the others are therefore blurred as well.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from db.labels import EXTRA_FINDINGS
from finetune.encoder.augment import coarsen
from finetune.encoder.config import EncoderConfig
from finetune.encoder.labelled.images import LabelledImages
from finetune.encoder.network import TrainingNetwork
from indexer.sources.nih_folders import NIH_LABELS

LOSSES = ("source_labels", "source_observations", "source_extra", "shared")

_NO_FINDING_DRAWN = 0.5
_FINE_DRAWN = 1.5


@dataclass(frozen=True, kw_only=True)
class LabelledBatch:
    """b images and their targets, 0 to 1."""

    pixels: Tensor  # (b, h, w), 0 to 255
    labels: Tensor  # (b, 15)
    observations: Tensor  # (b, 14)
    extra: Tensor  # (b, 5)


class LabelledTargets:
    """Draws batches of the images in train; kept on the training device."""

    def __init__(
        self, labelled: LabelledImages, config: EncoderConfig, device: torch.device
    ) -> None:
        self._config, self._device = config, device

        def put(values: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        observations, known = labelled.observed()
        self.images = put(labelled.images)
        self._labels = put(labelled.labels.astype(np.float32))
        self._observations = put(observations.astype(np.float32))
        self._extra = self._labels[:, [NIH_LABELS.index(name) for name in EXTRA_FINDINGS]]
        self._known = put(known.astype(np.float32))
        self._blurred = put(np.where(labelled.coarse, 0.0, config.labelled_coarse))
        self.rows = np.flatnonzero(~labelled.val)
        self._chances = _chances(labelled)[self.rows]
        self._chances /= self._chances.sum()

    def draw(self, count: int, rng: np.random.Generator) -> LabelledBatch:
        """Draw images, each mixed with another one."""
        rows = torch.from_numpy(rng.choice(self.rows, count, p=self._chances)).to(self._device)
        other = torch.from_numpy(rng.permutation(count)).to(self._device)
        drawn = rng.beta(self._config.labelled_mixup, self._config.labelled_mixup, count)
        share = torch.from_numpy(np.maximum(drawn, 1 - drawn).astype(np.float32)).to(self._device)

        def mix(values: Tensor) -> Tensor:
            mine = share.reshape(-1, *[1] * (values.ndim - 1))
            return mine * values + (1 - mine) * values[other]

        return LabelledBatch(
            pixels=mix(coarsen(self.images[rows], self._blurred[rows])),
            labels=mix(self._labels[rows]),
            observations=mix(self._observations[rows]),
            extra=mix(self._extra[rows]),
        )

    def losses(
        self, network: TrainingNetwork, pooled: Tensor, batch: LabelledBatch
    ) -> dict[str, Tensor]:
        """Compute each weighted loss by name from pooled features (b, width)."""
        config, dropped = self._config, network.drop(pooled)
        entropy = functional.binary_cross_entropy_with_logits

        def of_known(logits: Tensor) -> Tensor:
            each = entropy(logits, batch.observations, reduction="none") * self._known
            return each.sum() / (self._known.sum() * len(each))

        own = of_known(network.source_observations(dropped))
        shared = of_known(network.labels(dropped) + network.source_bias)
        return {
            "source_labels": entropy(network.source_labels(dropped), batch.labels),
            "source_observations": config.observations_weight * own,
            "source_extra": config.extra_weight * entropy(network.extra(dropped), batch.extra),
            "shared": config.shared_weight * shared,
        }


def _chances(labelled: LabelledImages) -> np.ndarray:
    """How often each image is drawn: patients with many images and normal images less often."""
    _, patient, images = np.unique(labelled.patients, return_inverse=True, return_counts=True)
    normal = labelled.labels[:, NIH_LABELS.index("No Finding")] == 1
    chances: np.ndarray = (
        np.where(normal, _NO_FINDING_DRAWN, 1.0)
        * np.where(labelled.coarse, 1.0, _FINE_DRAWN)
        / np.sqrt(images[patient])
    )
    return chances
