"""Trains the encoder that `indexer.encoder.network` defines, on a pack of images and reports.

Four things are learnt at once: which report belongs to a study (soft targets, because many reports
say the same), which studies resemble each other, what the reports name (observations and indexing
terms), and the view. The text tower stays as it is; its embeddings come with the pack.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from db.errors import MismatchError
from finetune.encoder.augment import augment
from finetune.encoder.config import EncoderConfig
from finetune.encoder.losses import Targets
from finetune.encoder.pack import LABELS_ONLY, UNLISTED, VAL, Pack
from finetune.encoder.scores import Embedded, embed_images, score
from indexer.encoder.network import ImageNetwork

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


class Trainer:
    """One run. ``train()`` can be called on what an interrupted run left behind."""

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
        self.steps_an_epoch = max(1, len(self.studies) // config.batch)
        total = config.epochs * self.steps_an_epoch
        warm = max(1, round(config.warmup * total))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda step: min(
                (step + 1) / warm,
                0.5 * (1 + math.cos(math.pi * max(0, step - warm) / max(1, total - warm))) + 1e-3,
            ),
        )
        frontal, lateral = pack.image_frontal == 1, pack.image_frontal == 0
        self.views = [
            (
                np.flatnonzero((pack.image_study == row) & frontal),
                np.flatnonzero((pack.image_study == row) & lateral),
            )
            for row in range(len(pack.study_ids))
        ]

    def train(
        self, *, every: int = 5, progress: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        """Train to the last epoch, from the last checkpoint if there is one.

        Writes the checkpoint after each scored epoch and a line a scored epoch to ``log.jsonl``.
        """
        self.out_dir.mkdir(parents=True, exist_ok=True)
        start = self._resume()
        began = time.monotonic()
        for epoch in range(start, self.config.epochs):
            losses = self._epoch(epoch)
            last = epoch + 1 == self.config.epochs
            if not last and (epoch + 1) % every:
                continue
            line: dict[str, Any] = {"epoch": epoch + 1, "seconds": time.monotonic() - began}
            line |= losses | score(self.pack, self.embed(), self.config)
            line = {k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()}
            with (self.out_dir / LOG).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
            self._save(epoch + 1)
            if progress:
                progress(line)

    def _epoch(self, epoch: int) -> dict[str, float]:
        config = self.config
        rng = np.random.default_rng((config.seed, config.member, epoch))
        torch.manual_seed(config.seed * 1_000_003 + config.member * 10_007 + epoch)
        self.network.train()
        order = rng.permutation(self.studies)
        sums: dict[str, Tensor] = {}
        for step in range(self.steps_an_epoch):
            rows = order[step * config.batch : (step + 1) * config.batch]
            images = torch.from_numpy(self._choose(rows, rng)).to(self.device)  # (2, b)
            losses = self._step(rows, images, rng)
            for name, value in losses.items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value
        return {name: float(value) / self.steps_an_epoch for name, value in sums.items()}

    def _choose(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Two images of each study: a frontal and a lateral one where there are both."""
        chosen = np.empty((2, len(rows)), np.int64)
        for column, row in enumerate(rows):
            views = [v for v in self.views[row] if len(v)]
            if len(views) == 2 and rng.random() < self.config.one_view:
                views = [views[int(rng.integers(2))]]
            chosen[:, column] = rng.choice(views[0]), rng.choice(views[-1])
        return chosen

    def _step(
        self, rows: np.ndarray, images: Tensor, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        config = self.config
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            pixels = augment(self.images[images.flatten()], config)
            batch = self.targets.batch(rows, images, rng)
            if rng.random() < config.mixup:
                share = float(rng.beta(0.4, 0.4))
                other = torch.from_numpy(rng.permutation(len(rows))).to(self.device)
                both = torch.cat([other, other + len(rows)])
                pixels = share * pixels + (1 - share) * pixels[both]
                batch = batch.mixed(other, share)
            seen = self.network(pixels)
        losses = self.targets.losses(self.network, seen.float(), batch)
        loss = sum(losses.values(), torch.zeros((), device=self.device))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        return {f"loss_{name}": value.detach() for name, value in losses.items()}

    @torch.inference_mode()
    def embed(self) -> Embedded:
        """Every image of the pack through the averaged weights, as it is."""
        network = self.average.module
        assert isinstance(network, ImageNetwork)
        return embed_images(network, self.images)

    def _save(self, epoch: int) -> None:
        state = {
            "config": asdict(self.config),
            "epoch": epoch,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "bank": self.targets.bank,
            "filled": self.targets.filled,
            "schedule": {"last_epoch": self.schedule.last_epoch},
        }
        waiting = self.out_dir / (CHECKPOINT + ".tmp")
        torch.save(state, waiting)
        waiting.replace(self.out_dir / CHECKPOINT)

    def _resume(self) -> int:
        path = self.out_dir / CHECKPOINT
        if not path.is_file():
            return 0
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["config"] != asdict(self.config):
            raise MismatchError(
                f"{self.out_dir} holds a run with other settings: name another directory"
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.targets.bank.copy_(state["bank"])
        self.targets.filled.copy_(state["filled"])
        self.schedule.last_epoch = state["schedule"]["last_epoch"]
        for group, base in zip(self.optimizer.param_groups, self.schedule.base_lrs, strict=True):
            group["lr"] = base * self.schedule.lr_lambdas[0](self.schedule.last_epoch)
        return int(state["epoch"])


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
