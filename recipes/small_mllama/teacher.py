"""The encoder's image network as a teacher, with outputs per place and for the whole image.

It is loaded with timm alone, so that it runs where the libraries of an index are not installed.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from db.errors import NotFoundError, UserError

CONFIG = "open_clip_config.json"
MODEL = "open_clip_model.safetensors"
HEADS = "heads.safetensors"


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """The teacher's outputs for n images; logits are before the sigmoid."""

    places: Tensor  # (n, features, rows, columns)
    vectors: Tensor  # (n, dim), unit length
    labels: Tensor  # (n, observations)
    view: Tensor  # (n, 1)


class Teacher(nn.Module):
    """A folder of `finetune.encoder.export`."""

    trunk: Any
    projection: nn.Linear
    labels: nn.Linear
    view: nn.Linear
    mean: Tensor
    std: Tensor

    def __init__(self, folder: Path) -> None:
        """Raises NotFoundError without the folder's files, UserError for another kind of files."""
        super().__init__()
        for name in (CONFIG, MODEL, HEADS):
            if not (folder / name).is_file():
                raise NotFoundError(f"{folder} has no {name}: name a trained encoder")
        try:
            stated = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            vision = stated["model_cfg"]["vision_cfg"]
            self.size = int(vision["image_size"])
            mean, std = stated["preprocess_cfg"]["mean"], stated["preprocess_cfg"]["std"]
            weights, heads = load_file(folder / MODEL), load_file(folder / HEADS)
            self.trunk = timm.create_model(
                vision["timm_model_name"], num_classes=0, global_pool="avg"
            ).to(memory_format=torch.channels_last)
            prefix = "visual.trunk."
            self.trunk.load_state_dict(
                {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            )
            projection = weights["visual.head.proj.weight"], weights["visual.head.proj.bias"]
            self.projection = _linear(*projection)
            self.labels = _linear(heads["labels.weight"], heads["labels.bias"])
            self.view = _linear(heads["frontal.weight"], heads["frontal.bias"])
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"{folder} holds no encoder with heads ({error})") from error
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    @property
    def features(self) -> int:
        return int(self.trunk.num_features)

    @torch.no_grad()
    def forward(self, grey: Tensor) -> Lesson:
        """Images (n, side, side) from 0 to 1."""
        size = [self.size, self.size]
        images = functional.interpolate(
            grey[:, None], size=size, mode="bilinear", align_corners=False
        ).expand(-1, 3, -1, -1)
        images = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        places = self.trunk.forward_features(images)
        pooled = self.trunk.forward_head(places, pre_logits=True)
        return Lesson(
            places=places.float(),
            vectors=functional.normalize(self.projection(pooled).float(), dim=1),
            labels=self.labels(pooled).float(),
            view=self.view(pooled).float(),
        )


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer
