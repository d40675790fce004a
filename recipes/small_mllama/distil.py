"""Teaches the vision tower to see what the encoder sees, before it is shown any text.

From the tower's output, which is what the language model will look at, linear heads must tell the
encoder's features at every patch, and from the class token its vector, observations and view. The
heads are thrown away.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import MllamaForConditionalGeneration

from finetune.encoder.augment import augment
from finetune.encoder.config import EncoderConfig
from recipes.small_mllama.batches import Tiles
from recipes.small_mllama.clock import Clock, schedule
from recipes.small_mllama.config import BaseConfig
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
    config: BaseConfig,
    *,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Train ``model``'s vision tower on images ``rows``; lines of losses go to ``progress``."""
    device = tiles.values.device
    torch.manual_seed(config.seed)
    teacher = teacher.to(device)
    tower = model.model.vision_model.train()
    student = Student(tower, teacher, model.model.multi_modal_projector.in_features).to(device)
    lessons = _Lessons(student, teacher, tiles, config)
    lessons.measure(torch.tensor(rows, device=device)[: 4 * config.distil_batch])
    flat = [p for p in student.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in student.parameters() if p.ndim > 1], "peak": config.distil_lr},
            {"params": flat, "peak": config.distil_lr, "weight_decay": 0.0},
        ],
        weight_decay=config.distil_weight_decay,
        fused=device.type == "cuda",
    )
    order = torch.tensor(rows, device=device)
    batch = min(config.distil_batch, len(rows))
    an_epoch = len(rows) // batch
    clock = Clock(steps=config.distil_epochs * an_epoch, seconds=config.distil_seconds)
    step, reached = 0, 0.0
    while reached < 1:
        if step % an_epoch == 0:
            order = order[torch.randperm(len(order), device=device)]
        start = step % an_epoch * batch
        schedule(optimizer, reached, config.warmup)
        losses = lessons.losses(order[start : start + batch], distorted=True)
        loss = lessons.total(losses)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), config.clip)
        optimizer.step()
        step += 1
        reached = clock.progress(step)
        if progress and (step % config.log_every == 0 or reached >= 1):
            line = {"step": step, "seconds": clock.elapsed(), "progress": reached}
            line |= {name: float(value.detach()) for name, value in losses.items()}
            if len(val_rows) and (step % config.val_every == 0 or reached >= 1):
                line |= lessons.validate(val_rows)
            progress(line)


class _Lessons:
    """Losses of a student against its teacher, on the same distorted images."""

    def __init__(
        self, student: Student, teacher: Teacher, tiles: Tiles, config: BaseConfig
    ) -> None:
        self._student, self._teacher, self._tiles, self._config = student, teacher, tiles, config
        self._mean = self._std = torch.zeros(())
        self._draw = torch.Generator(device=tiles.values.device).manual_seed(config.seed)

    @torch.no_grad()
    def measure(self, rows: Tensor) -> None:
        """Mean and spread of each of the teacher's features, by which they are made alike."""
        images = self._tiles.grey(rows)[self._tiles.mask(self._tiles.counts[rows]) > 0]
        places = torch.cat([self._teacher(part).places for part in images.split(64)])  # type: ignore[no-untyped-call]
        self._mean = places.mean(dim=(0, 2, 3), keepdim=True)
        self._std = places.std(dim=(0, 2, 3), keepdim=True).clamp_min(1e-3)

    def losses(self, rows: Tensor, *, distorted: bool) -> dict[str, Tensor]:
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

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        config = self._config
        return (
            config.dense_weight * losses["dense"]
            + config.pooled_weight * losses["pooled"]
            + config.label_weight * losses["labels"]
            + config.view_weight * losses["view"]
        )

    @torch.no_grad()
    def validate(self, rows: Sequence[int]) -> dict[str, float]:
        self._student.eval()
        sums: dict[str, float] = {}
        chosen = torch.tensor(rows, device=self._tiles.values.device)
        for part in chosen.split(self._config.distil_batch):  # type: ignore[no-untyped-call]
            for name, value in self.losses(part, distorted=False).items():
                sums[f"val_{name}"] = sums.get(f"val_{name}", 0.0) + float(value) * len(part)
        self._student.train()
        return {name: value / len(rows) for name, value in sums.items()}


def distort(grey: Tensor, config: BaseConfig) -> Tensor:
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
