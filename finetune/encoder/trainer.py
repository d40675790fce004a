"""Trains the encoder that `indexer.encoder.network` defines, on a pack of images and reports.

Four objectives are trained together: the report of a study (with soft targets, because many reports
are alike), the similarity of studies, the observations and indexing terms of the reports, and the
view. The text encoder is fixed; its embeddings come with the pack.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from finetune.encoder.augment import augment
from finetune.encoder.config import EncoderConfig
from finetune.encoder.losses import Targets
from finetune.encoder.pack import LABELS_ONLY, UNLISTED, VAL, Pack
from finetune.encoder.scores import Embedded, embed_images, score
from finetune.training.devices import Devices
from finetune.training.learner import Learner, Pace
from finetune.training.loop import TrainingLoop
from finetune.training.schedules import Position, cosine
from indexer.encoder.network import ImageNetwork

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Drawn:
    """The studies of a step, two images of each, and what else is drawn for it."""

    rows: np.ndarray  # (b,)
    images: Tensor  # (2, b)
    rng: np.random.Generator


class EncoderTrainer(Learner):
    """One run. ``train()`` can be called on what an interrupted run left behind."""

    losses = tuple(
        f"loss_{name}"
        for name in ("labels", "image_labels", "terms", "view", "texts", "images", "choice")
    )

    def __init__(
        self,
        config: EncoderConfig,
        pack: Pack,
        out_dir: Path,
        *,
        network: ImageNetwork,
        device: str,
    ) -> None:
        self.config, self.pack, self.out_dir = config, pack, out_dir
        self.device = torch.device(device)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.ema),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        self.images = torch.from_numpy(pack.images()).to(self.device)
        self.studies = training_rows(pack, config)
        self.targets = Targets(pack, config, self.studies, self.device)
        self.network.start_from(self.targets.priors())
        self.average.module.load_state_dict(self.network.state_dict())
        heads = [p for name, p in self.network.named_parameters() if "trunk" not in name]
        trunk = [p for name, p in self.network.named_parameters() if "trunk" in name]
        groups = [
            {"params": [p for p in trunk if p.ndim > 1], "lr": config.lr},
            {"params": [p for p in trunk if p.ndim <= 1], "lr": config.lr, "weight_decay": 0.0},
            {"params": [p for p in heads if p.ndim > 1], "lr": config.head_lr},
            {"params": [p for p in heads if p.ndim <= 1], "lr": config.head_lr, "weight_decay": 0},
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        self.epoch_steps = max(1, len(self.studies) // config.batch)
        frontal, lateral = pack.image_frontal == 1, pack.image_frontal == 0
        self.views = [
            (
                np.flatnonzero((pack.image_study == row) & frontal),
                np.flatnonzero((pack.image_study == row) & lateral),
            )
            for row in range(len(pack.study_ids))
        ]

    def train(self, *, every: int = 5, show: Callable[[str], None] | None = None) -> None:
        """Train to the last epoch, from the last checkpoint if there is one.

        Scores val and writes the checkpoint after each ``every`` epochs, and after the last.
        Raises MismatchError for a checkpoint of other settings, and UserError where the loss is NaN
        or infinite.
        """
        config, epoch = self.config, self.epoch_steps
        self.out_dir.mkdir(parents=True, exist_ok=True)
        TrainingLoop(
            self,
            self.optimizer,
            Pace(
                steps=config.epochs * epoch,
                log_every=every * epoch,
                mean_over=epoch,
                evaluate_every=every * epoch,
                save_every=every * epoch,
                max_grad_norm=5.0,
            ),
            schedule=cosine(config.warmup, floor=1e-3),
            log=self.out_dir / LOG,
            checkpoint=self.out_dir / CHECKPOINT,
            devices=Devices(device=self.device),
            show=show or (lambda line: None),
            about=asdict(config),
        ).run()

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.network.parameters())

    def steps(self, start: int) -> Iterator[list[_Drawn]]:
        """A checkpoint is written at the end of an epoch alone, so a run resumes with a new one."""
        config = self.config
        for epoch in range(start // self.epoch_steps, config.epochs):
            rng = np.random.default_rng((config.seed, config.member, epoch))
            torch.manual_seed(config.seed * 1_000_003 + config.member * 10_007 + epoch)
            self.network.train()
            order = rng.permutation(self.studies)
            for step in range(self.epoch_steps):
                rows = order[step * config.batch : (step + 1) * config.batch]
                images = torch.from_numpy(self._choose(rows, rng)).to(self.device)
                yield [_Drawn(rows=rows, images=images, rng=rng)]

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
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            pixels = augment(self.images[images.flatten()], config)
            targets = self.targets.batch(rows, images, rng)
            if rng.random() < config.mixup:
                share = float(rng.beta(0.4, 0.4))
                other = torch.from_numpy(rng.permutation(len(rows))).to(self.device)
                both = torch.cat([other, other + len(rows)])
                pixels = share * pixels + (1 - share) * pixels[both]
                targets = targets.mixed(other, share)
            seen = self.network(pixels)
        losses = self.targets.losses(self.network, seen.float(), targets)
        loss = sum(losses.values(), torch.zeros((), device=self.device))
        return loss, {f"loss_{name}": value for name, value in losses.items()}

    def stepped(self) -> None:
        self.average.update_parameters(self.network)

    def measures(self, at: Position, seconds: float) -> dict[str, float]:
        return {"epoch": (at.step + 1) // self.epoch_steps}

    def evaluate(self) -> dict[str, Any]:
        """Scores of val by the averaged weights."""
        return dict(score(self.pack, self.embed(), self.config))

    @torch.inference_mode()
    def embed(self) -> Embedded:
        """Every image of the pack through the averaged weights, as it is."""
        network = self.average.module
        assert isinstance(network, ImageNetwork)
        return embed_images(network, self.images)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "bank": self.targets.bank,
            "filled": self.targets.filled,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.targets.bank.copy_(state["bank"])
        self.targets.filled.copy_(state["filled"])


def training_rows(pack: Pack, config: EncoderConfig) -> np.ndarray:
    """The studies of a pack to train on: never one of val, nor of the fold that is left out."""
    use = pack.split != VAL
    if not config.unlisted:
        use &= pack.split != UNLISTED
    if config.labels_only == 0:
        use &= pack.split != LABELS_ONLY
    if config.folds > 1:
        use &= pack.folds(config.folds) != config.fold
    return np.flatnonzero(use)
