"""Distil the encoder into the vision encoder of the small model, before training on text.

Linear heads on the output predict the encoder's features at every patch and, from the class token,
its embedding, observations and view. The heads are discarded afterwards.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import MllamaForConditionalGeneration

from finetune.encoder.augment import augment
from finetune.encoder.config import EncoderConfig
from finetune.training.devices import Devices
from finetune.training.learner import Learner, Pace
from finetune.training.loop import TrainingLoop
from finetune.training.schedules import Position, timed_cosine
from recipes.small_mllama.batches import Tiles
from recipes.small_mllama.config import SmallMllamaConfig
from recipes.small_mllama.teacher import Lesson, Teacher


class Student(nn.Module):
    """The tower with its heads."""

    def __init__(self, tower: nn.Module, teacher: Teacher, width: int) -> None:
        super().__init__()
        self.tower = tower
        self.places = nn.Linear(width, teacher.features)
        self.vectors = nn.Linear(2 * width, teacher.projection.out_features)
        self.labels = nn.Linear(2 * width, teacher.labels.out_features)
        self.view = nn.Linear(2 * width, 1)

    def forward(self, pixels: Tensor, ratios: Tensor, mask: Tensor) -> Lesson:
        """Of every tile that an image has, (n, ...), in the order of images and tiles."""
        seen = self.tower(
            pixel_values=pixels, aspect_ratio_ids=ratios, aspect_ratio_mask=mask
        ).last_hidden_state[:, 0]
        seen = seen[mask[:, 0] > 0]  # (n, 1 + patches, width)
        whole = torch.cat([seen[:, 0], seen[:, 1:].mean(dim=1)], dim=1)
        side = int(seen.shape[1] ** 0.5)
        return Lesson(
            places=self.places(seen[:, 1:]).transpose(1, 2).unflatten(2, (side, side)),
            vectors=functional.normalize(self.vectors(whole).float(), dim=1),
            labels=self.labels(whole),
            view=self.view(whole),
        )


def distil(
    model: MllamaForConditionalGeneration,
    teacher: Teacher,
    tiles: Tiles,
    rows: Sequence[int],
    val_rows: Sequence[int],
    config: SmallMllamaConfig,
    *,
    log: Path,
    show: Callable[[str], None] | None = None,
) -> None:
    """Train ``model``'s vision tower on images ``rows``; the file ``log`` gets lines of losses.

    Raises UserError where the loss is NaN or infinite.
    """
    device = tiles.values.device
    torch.manual_seed(config.seed)
    teacher = teacher.to(device)
    tower = model.model.vision_model.train()
    student = Student(tower, teacher, model.model.multi_modal_projector.in_features).to(device)
    distiller = VisionDistiller(student, teacher, tiles, config, rows=rows, val_rows=val_rows)
    distiller.measure(torch.tensor(rows, device=device)[: 4 * config.distil_batch])
    flat = [p for p in student.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in student.parameters() if p.ndim > 1]},
        {"params": flat, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        groups,
        lr=config.distil_lr,
        weight_decay=config.distil_weight_decay,
        fused=device.type == "cuda",
    )
    TrainingLoop(
        distiller,
        optimizer,
        Pace(
            steps=config.distil_epochs * distiller.epoch_steps,
            seconds=config.distil_seconds,
            log_every=config.log_every,
            evaluate_every=config.val_every,
            max_grad_norm=config.clip,
        ),
        schedule=timed_cosine(config.warmup),
        log=log,
        checkpoint=None,
        devices=Devices(device=device),
        show=show or (lambda line: None),
    ).run()


class VisionDistiller(Learner):
    """Train a student to predict its teacher's outputs from distorted images."""

    losses = ("dense", "pooled", "labels", "view")

    def __init__(
        self,
        student: Student,
        teacher: Teacher,
        tiles: Tiles,
        config: SmallMllamaConfig,
        *,
        rows: Sequence[int],
        val_rows: Sequence[int],
    ) -> None:
        self._student, self._teacher, self._tiles, self._config = student, teacher, tiles, config
        self._rows, self._val_rows = rows, val_rows
        self._batch = min(config.distil_batch, len(rows))
        self.epoch_steps = len(rows) // self._batch
        self._mean = self._std = torch.zeros(())
        self._draw = torch.Generator(device=tiles.values.device).manual_seed(config.seed)

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self._student.parameters())

    def steps(self, start: int) -> Iterator[list[Tensor]]:
        order = torch.tensor(self._rows, device=self._tiles.values.device)
        while True:
            order = order[torch.randperm(len(order), device=order.device)]
            for place in range(self.epoch_steps):
                yield [order[place * self._batch : (place + 1) * self._batch]]

    def loss(self, batch: Tensor, at: Position) -> tuple[Tensor, Mapping[str, Tensor]]:
        config, losses = self._config, self._compare(batch, distorted=True)
        total = (
            config.dense_weight * losses["dense"]
            + config.pooled_weight * losses["pooled"]
            + config.label_weight * losses["labels"]
            + config.view_weight * losses["view"]
        )
        return total, losses

    @torch.no_grad()
    def measure(self, rows: Tensor) -> None:
        """Mean and spread of each of the teacher's features, by which they are made alike."""
        images = self._tiles.grey(rows)[self._tiles.mask(self._tiles.counts[rows]) > 0]
        places = torch.cat([self._teacher(part).places for part in images.split(64)])  # type: ignore[no-untyped-call]
        self._mean = places.mean(dim=(0, 2, 3), keepdim=True)
        self._std = places.std(dim=(0, 2, 3), keepdim=True).clamp_min(1e-3)

    def _compare(self, rows: Tensor, *, distorted: bool) -> dict[str, Tensor]:
        config, tiles = self._config, self._tiles
        counts, ratios, grey = tiles.counts[rows], tiles.ratios[rows], tiles.grey(rows)
        if distorted:
            alone = torch.rand(len(rows), device=rows.device, generator=self._draw)
            alone = (alone < config.one_tile) & (counts > 1)
            kept = (torch.rand(len(rows), device=rows.device, generator=self._draw) * counts).long()
            first = grey[torch.arange(len(rows), device=rows.device), torch.where(alone, kept, 0)]
            grey = torch.cat([first[:, None], grey[:, 1:]], dim=1)
            counts, ratios = torch.where(alone, 1, counts), torch.where(alone, 1, ratios)
            grey = distort(grey, config)
        mask = tiles.mask(counts)
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=rows.is_cuda):
            taught = self._teacher(grey[mask > 0])
            seen = self._student(tiles.normalised(grey, counts), ratios[:, None], mask[:, None])
        places = functional.interpolate(
            (taught.places - self._mean) / self._std,
            size=seen.places.shape[2:],
            mode="bilinear",
            align_corners=False,
        )
        return {
            "dense": functional.smooth_l1_loss(seen.places.float(), places),
            "pooled": 1 - (seen.vectors * taught.vectors).sum(dim=1).mean(),
            "labels": _agreement(seen.labels, taught.labels),
            "view": _agreement(seen.view, taught.view),
        }

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        rows = self._val_rows
        if not rows:
            return {}
        self._student.eval()
        sums: dict[str, float] = {}
        chosen = torch.tensor(rows, device=self._tiles.values.device)
        for part in chosen.split(self._config.distil_batch):  # type: ignore[no-untyped-call]
            for name, value in self._compare(part, distorted=False).items():
                sums[f"val_{name}"] = sums.get(f"val_{name}", 0.0) + float(value) * len(part)
        self._student.train()
        return {name: value / len(rows) for name, value in sums.items()}


def distort(grey: Tensor, config: SmallMllamaConfig) -> Tensor:
    """(b, tiles, side, side) from 0 to 1, each tile turned, shifted, scaled and brightened."""
    style = EncoderConfig(
        size=grey.shape[-1],
        rotate=config.rotate,
        scale=config.scale,
        shift=config.shift,
        contrast=config.contrast,
        erase=config.erase,
    )
    images = augment(grey.flatten(0, 1) * 255, style)[:, 0]
    return ((images + 1) / 2).reshape(grey.shape)


def _agreement(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy with the teacher's probabilities, above what it cannot fall below."""
    wanted = target.float().sigmoid()
    floor = functional.binary_cross_entropy_with_logits(target.float(), wanted)
    return functional.binary_cross_entropy_with_logits(logits.float(), wanted) - floor
