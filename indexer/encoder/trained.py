"""The network of a trained encoder's folder in torch: image tower, projection and heads.

    network = read_network(Path("pretrained/encoder"))    # (n, 3, size, size) to rows, class maps

Serving runs it in ONNX Runtime instead, see `indexer.encoder.folder`.
"""

from pathlib import Path
from typing import Any

import torch
from open_clip.model import CLIPVisionCfg, _build_vision_tower
from open_clip.timm_model import TimmModel
from safetensors.torch import load_file
from torch import Tensor, nn

from db.errors import MismatchError
from indexer.encoder.folder import EXTRA, read_config
from indexer.encoder.preprocessing import PreprocessConfig
from indexer.encoder.weight_files import HEADS, MODEL


class _Heads(nn.Module):
    """Image tower, projection and heads.

    Gives one row of numbers per image and, where the tower pools a feature map by its mean, the
    class maps: the weights of the label head at every place of that map, (n, 14, rows, columns). As
    the head is linear, the mean of a class map and the head's bias add up to the logit (Zhou et
    al., CVPR 2016, arXiv 1512.04150).
    """

    def __init__(self, visual: TimmModel, heads: dict[str, Tensor]) -> None:
        super().__init__()
        self.visual = visual
        self.labels = _linear(heads["labels.weight"], heads["labels.bias"])
        self.frontal = _linear(heads["frontal.weight"], heads["frontal.bias"])
        self.extra: nn.Linear | None = None
        if EXTRA in heads:
            self.extra = _linear(heads[EXTRA], heads["extra.bias"])

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        trunk = self.visual.trunk
        features = trunk.forward_features(pixels)
        pooled = trunk.forward_head(features)
        parts = [self.visual.head(pooled), self.labels(pooled), self.frontal(pooled)]
        if self.extra is not None:
            parts.append(self.extra(pooled))
        rows = torch.cat(parts, dim=1)
        if not _is_mean_of(trunk, features, self.labels.in_features):
            return rows
        weight = self.labels.weight[:, :, None, None]
        return rows, nn.functional.conv2d(features, weight)


def _is_mean_of(trunk: nn.Module, features: Tensor, width: int) -> bool:
    """Return whether the pooled features of a timm network are the mean of this feature map."""
    pool = getattr(getattr(trunk, "global_pool", None), "pool_type", None)
    return pool == "avg" and features.ndim == 4 and features.shape[1] == width


def read_network(folder: Path) -> nn.Module:
    """Read image tower, projection and heads as one torch module: (n, 3, size, size) to rows, or to
    rows and class maps.

    Raises NotFoundError for a missing file and MismatchError for files of different encoders.
    """
    return _network(folder, read_config(folder))


def _network(folder: Path, config: dict[str, Any]) -> _Heads:
    try:
        model = config["model_cfg"]
        vision = CLIPVisionCfg(**model["vision_cfg"])
        PreprocessConfig(**config["preprocess_cfg"])
        visual = _build_vision_tower(int(model["embed_dim"]), vision)
        state = {
            k: v.float() if v.is_floating_point() else v
            for k, v in load_file(folder / MODEL).items()
        }
        visual.load_state_dict(_under(state, "visual."), strict=True)
        if "text.proj.weight" not in state:
            raise KeyError("text.proj.weight")
        return _Heads(visual, {k: v.float() for k, v in load_file(folder / HEADS).items()}).eval()
    except (KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise MismatchError(
            f"the files in {folder} do not belong together ({error}): export the encoder again"
        ) from error


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
