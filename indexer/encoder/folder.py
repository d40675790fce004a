"""Encoders in folders: those that `finetune.encoder.export` writes, and plain open_clip ones.

    from_folder(Path("pretrained/encoder"), name="pretrained/encoder")

A folder holds a config beside ``open_clip_model.safetensors``. If the config has a ``text_tower``,
`finetune.encoder.export` wrote the folder: ``heads.safetensors`` holds the heads for observations
and view, and the weights of the text tower come from the package named in the config, or from the
folder itself. They are read when the first text is embedded.
"""

from pathlib import Path
from typing import Any

import torch
from open_clip.model import CLIPVisionCfg, _build_vision_tower
from open_clip.timm_model import TimmModel
from open_clip.transform import PreprocessCfg
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from db.errors import MismatchError, NotFoundError, UserError
from db.files import parse_json
from indexer.encoder.onnx import cache_key, compiled
from indexer.encoder.open_clip import OpenClipEncoder, from_open_clip
from indexer.encoder.text import TextTower, config_text_tower
from indexer.encoder.weight_files import file_sha256

CONFIG = "open_clip_config.json"
MODEL = "open_clip_model.safetensors"
HEADS = "heads.safetensors"

_EXTRA = "extra.weight"
"""Of the head for `EXTRA_FINDINGS`, which older folders do not have."""


_OUTPUTS = "rows and class maps"
"""What `_Heads` gives; part of the key under which its export is cached."""


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
        if _EXTRA in heads:
            self.extra = _linear(heads[_EXTRA], heads["extra.bias"])

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


def from_folder(folder: Path, *, name: str, device: str = "cpu") -> OpenClipEncoder:
    """Load an encoder from a folder in open_clip's format.

    Raises NotFoundError for a missing file and MismatchError for files of different encoders.
    """
    config = _read_config(folder)
    if "text_tower" not in config:
        return from_open_clip(f"local-dir:{folder}", name=name, device=device)
    weights = folder / MODEL
    if not weights.is_file():
        raise NotFoundError(f"{folder} has a {CONFIG} but no {MODEL}: export the encoder again")
    files = [folder / CONFIG, weights, folder / HEADS]
    key = cache_key(*files, network=_OUTPUTS) if files[-1].is_file() else None
    model = config.get("model_cfg", {})
    forward = compiled(
        lambda: _network(folder, config),
        size=int(model.get("vision_cfg", {}).get("image_size", 0)),
        key=key,
        device=device,
    )
    preprocess = PreprocessCfg(**config["preprocess_cfg"])
    dim = int(model["embed_dim"])
    with safe_open(weights, framework="pt") as stored:
        projection = stored.get_tensor("text.proj.weight").float()
    text = TextTower(
        config_text_tower(config["text_tower"], folder),
        dim=dim,
        context_length=int(model["text_cfg"]["context_length"]),
        projection=projection,
        device=device,
    )
    return OpenClipEncoder(
        forward,
        name=name,
        weights_sha256=file_sha256(weights),
        dim=dim,
        preprocess=preprocess,
        report_weight=float(config.get("report_weight", 0.0)),
        heads=True,
        extra=_has_extra(folder / HEADS),
        label_thresholds=config.get("label_thresholds"),
        embed_text=text,
        device=device,
    )


def _has_extra(heads: Path) -> bool:
    if not heads.is_file():
        return False
    with safe_open(heads, framework="pt") as stored:
        return _EXTRA in stored.keys()  # noqa: SIM118  # it is no mapping


def read_network(folder: Path) -> nn.Module:
    """Read image tower, projection and heads as one torch module: (n, 3, size, size) to rows, or to
    rows and class maps.

    Raises NotFoundError for a missing file and MismatchError for files of different encoders.
    """
    return _network(folder, _read_config(folder))


def _network(folder: Path, config: dict[str, Any]) -> _Heads:
    try:
        model = config["model_cfg"]
        vision = CLIPVisionCfg(**model["vision_cfg"])
        PreprocessCfg(**config["preprocess_cfg"])
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


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise NotFoundError(f"{folder} is not an encoder: it has no {CONFIG}")
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): export the encoder again") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is not a JSON object: export the encoder again")
    return config


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
