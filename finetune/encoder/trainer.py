"""Trains the encoder that `indexer.encoder.network` defines, on a pack of images and reports.

Four objectives are trained together: the report of a study (with soft targets, because many reports
are alike), the similarity of studies, the observations and indexing terms of the reports, and the
view. The text encoder is fixed; its embeddings come with the pack.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finetune.encoder.augment import augment, coarsen
from finetune.encoder.config import EncoderConfig
from finetune.encoder.labelled.losses import LOSSES as LABELLED_LOSSES
from finetune.encoder.labelled.losses import LabelledTargets
from finetune.encoder.learner import EncoderLearner
from finetune.encoder.losses import LOSSES, Targets
from finetune.encoder.network import TrainingNetwork
from finetune.encoder.pack import UNLISTED, VAL, Pack
from finetune.encoder.scores import Embedded, embed_images, score
from finetune.training.schedules import Position


@dataclass(frozen=True, kw_only=True, eq=False)
class _Drawn:
    """The studies of a step, two images of each, and what else is drawn for it."""

    rows: np.ndarray  # (b,)
    images: Tensor  # (2, b)
    rng: np.random.Generator


class EncoderTrainer(EncoderLearner):
    """One run on the studies of a pack, and on its labelled images if it has such."""

    resumes_anywhere = False
    losses = tuple(f"loss_{name}" for name in (*LOSSES, *LABELLED_LOSSES))

    def __init__(
        self,
        config: EncoderConfig,
        pack: Pack,
        out_dir: Path,
        *,
        network: TrainingNetwork,
        device: str,
    ) -> None:
        self.pack = pack
        self.studies = training_rows(pack, config)
        super().__init__(
            config,
            out_dir,
            network=network,
            device=device,
            epochs=config.epochs,
            epoch_steps=max(1, len(self.studies) // config.batch),
        )
        self.images = torch.from_numpy(pack.images).to(self.device)
        self.targets = Targets(pack, config, self.studies, self.device)
        self.labelled = (
            LabelledTargets(pack.labelled, config, self.device) if pack.labelled else None
        )
        self.network.start_from(self.targets.priors())
        self.average.module.load_state_dict(self.network.state_dict())
        frontal, lateral = pack.image_frontal == 1, pack.image_frontal == 0
        self.views = [
            (
                np.flatnonzero((pack.image_study == row) & frontal),
                np.flatnonzero((pack.image_study == row) & lateral),
            )
            for row in range(len(pack.study_ids))
        ]

    def epoch(self, rng: np.random.Generator) -> Iterator[_Drawn]:
        order = rng.permutation(self.studies)
        for step in range(self.epoch_steps):
            rows = order[step * self.config.batch : (step + 1) * self.config.batch]
            images = torch.from_numpy(self._choose(rows, rng)).to(self.device)
            yield _Drawn(rows=rows, images=images, rng=rng)

    def _choose(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Two images of each study: a frontal and a lateral one where there are both."""
        chosen = np.empty((2, len(rows)), np.int64)
        for column, row in enumerate(rows):
            views = [v for v in self.views[row] if len(v)]
            if len(views) == 2 and rng.random() < self.config.one_view:
                views = [views[int(rng.integers(2))]]
            chosen[:, column] = rng.choice(views[0]), rng.choice(views[-1])
        return chosen

    def loss(self, batch: _Drawn, at: Position) -> tuple[Tensor, Mapping[str, Tensor]]:
        config, rows, images, rng = self.config, batch.rows, batch.images, batch.rng
        targets = self.targets.batch(rows, images, rng)
        drawn = self.images[images.flatten()]
        if config.coarse:
            drawn = coarsen(drawn, torch.full((len(drawn),), config.coarse, device=self.device))
        pixels = augment(drawn, config)
        if rng.random() < config.mixup:
            share = float(rng.beta(0.4, 0.4))
            other = torch.from_numpy(rng.permutation(len(rows))).to(self.device)
            both = torch.cat([other, other + len(rows)])
            pixels = share * pixels + (1 - share) * pixels[both]
            targets = targets.mixed(other, share)
        more = self.labelled.draw(config.labelled_batch, rng) if self.labelled else None
        if more is not None:
            pixels = torch.cat([pixels, augment(more.pixels, config)])
        pooled = self.pooled(pixels.contiguous(memory_format=torch.channels_last))
        seen = self.network.outputs(pooled[: 2 * len(rows)])
        losses = self.targets.losses(self.network, seen, targets)
        if self.labelled and more is not None:
            of_more = self.labelled.losses(self.network, pooled[2 * len(rows) :], more)
            losses |= {name: config.labelled_weight * value for name, value in of_more.items()}
        loss = sum(losses.values(), torch.zeros((), device=self.device))
        return loss, {f"loss_{name}": value for name, value in losses.items()}

    def evaluate(self) -> dict[str, Any]:
        """Score val by the averaged weights."""
        return dict(score(self.pack, self.embed(), self.config))

    @torch.inference_mode()
    def embed(self) -> Embedded:
        """Pass every image of the pack through the averaged weights, as it is."""
        return embed_images(self.average.module, self.images)

    def state(self) -> dict[str, Any]:
        return super().state() | {"bank": self.targets.bank, "filled": self.targets.filled}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self.targets.bank.copy_(state["bank"])
        self.targets.filled.copy_(state["filled"])


def training_rows(pack: Pack, config: EncoderConfig) -> np.ndarray:
    """Return the studies of a pack to train on: never one of val, nor of the fold left out."""
    use = pack.split != VAL
    if not config.unlisted:
        use &= pack.split != UNLISTED
    if config.folds > 1:
        use &= pack.folds(config.folds) != config.fold
    return np.flatnonzero(use)
