"""The stage before the runs: the tower learns labelled images alone.

All runs start from its end, so that their weights can be averaged. A long stage knows its patients
by heart, and what follows does not forget them: 700 steps did worse than 300.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finetune.encoder.augment import augment
from finetune.encoder.config import EncoderConfig
from finetune.encoder.labelled.images import LabelledImages
from finetune.encoder.labelled.losses import LOSSES, LabelledBatch, LabelledTargets
from finetune.encoder.learner import EncoderLearner
from finetune.encoder.network import TrainingNetwork
from finetune.training.schedules import Position

_EPOCH = 100


class StartTrainer(EncoderLearner):
    """Trains a network on labelled images alone."""

    losses = tuple(f"loss_{name}" for name in LOSSES if name != "shared")

    def __init__(
        self,
        config: EncoderConfig,
        labelled: LabelledImages,
        out_dir: Path,
        *,
        network: TrainingNetwork,
        device: str,
    ) -> None:
        steps = min(_EPOCH, config.start_steps)
        epochs = max(1, config.start_steps // steps)
        super().__init__(
            config, out_dir, network=network, device=device, epochs=epochs, epoch_steps=steps
        )
        self.labelled = LabelledTargets(labelled, config, self.device)

    def epoch(self, rng: np.random.Generator) -> Iterator[LabelledBatch]:
        for _ in range(self.epoch_steps):
            yield self.labelled.draw(self.config.start_batch, rng)

    def loss(self, batch: LabelledBatch, at: Position) -> tuple[Tensor, Mapping[str, Tensor]]:
        pooled = self.pooled(augment(batch.pixels, self.config))
        losses = self.labelled.losses(self.network, pooled, batch)
        del losses["shared"]  # the label head has not started yet
        loss = sum(losses.values(), torch.zeros((), device=self.device))
        return loss, {f"loss_{name}": value for name, value in losses.items()}

    def evaluate(self) -> dict[str, Any]:
        return {}
