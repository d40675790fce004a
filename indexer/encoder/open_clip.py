"""Encoders in `open_clip`'s format: an image tower, its heads, and a text tower.

    from_folder(Path("pretrained/encoder"), name="pretrained/encoder")
    from_open_clip("ViT-B-32/laion2b_s34b_b79k")

A folder holds a config beside ``open_clip_model.safetensors``. Where its config has a
``text_tower``, the folder was written by `finetune.encoder.export`: the weights of the text tower
then come from the package named there, or lie in the folder, and are read when a text is first
embedded; ``heads.safetensors`` holds the heads for observations and view.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import open_clip
import torch
from open_clip.model import CLIPVisionCfg, _build_vision_tower
from open_clip.timm_model import TimmModel
from open_clip.transform import PreprocessCfg
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from db.errors import MismatchError, NotFoundError, UserError
from db.labels import OBSERVATIONS
from indexer.encoder.device import Forward, in_torch
from indexer.encoder.onnx import cache_key, compiled
from indexer.encoder.preprocessing import Preprocessing
from indexer.encoder.spec import EncoderSpec, ImageEmbeddings
from indexer.encoder.text import TextTower, config_text_tower, open_clip_text
from indexer.encoder.weight_files import file_sha256

BATCH = 16
"""Images per forward pass on the CPU; fixed, because the batch shape may change the last bits of a
vector."""
BATCH_CUDA = 128

CONFIG = "open_clip_config.json"
MODEL = "open_clip_model.safetensors"
HEADS = "heads.safetensors"

EmbedText = Callable[[Sequence[str]], npt.NDArray[np.float32]]


class OpenClipEncoder:
    """An image tower, perhaps with a text tower.

    With ``heads`` the columns of ``forward`` after ``dim`` are 14 + 1 logits.
    """

    def __init__(
        self,
        forward: Forward,
        *,
        name: str,
        weights_sha256: str,
        dim: int,
        preprocess: PreprocessCfg,
        report_weight: float = 0.0,
        heads: bool = False,
        label_thresholds: Mapping[str, float] | None = None,
        embed_text: EmbedText | None = None,
        device: str = "cpu",
    ) -> None:
        self._batch = BATCH if device == "cpu" else BATCH_CUDA
        self._heads, self._embed_text = heads, embed_text
        self.forward = forward
        self.label_thresholds = dict(label_thresholds or {})
        """Observation to the probability from which on it counts as present."""
        self.prepare = Preprocessing(preprocess)
        """Images to what ``forward`` takes: (n, 3, size, size)."""
        self.spec = EncoderSpec(
            name=name,
            weights_sha256=weights_sha256,
            dim=dim,
            preprocessing=self.prepare.values,
            report_weight=report_weight,
        )

    def embed_images(self, images: Sequence[npt.NDArray[np.uint8]]) -> ImageEmbeddings:
        """See `indexer.encoder.spec.Encoder`."""
        dim = self.spec.dim
        width = dim + (len(OBSERVATIONS) + 1 if self._heads else 0)
        rows = np.zeros((len(images), width), np.float32)
        for start in range(0, len(images), self._batch):
            some = images[start : start + self._batch]
            rows[start : start + self._batch] = self.forward(self.prepare(some))
        lengths = np.linalg.norm(rows[:, :dim], axis=1, keepdims=True)
        odds = 1 / (1 + np.exp(-rows[:, dim:]))
        return ImageEmbeddings(
            vectors=rows[:, :dim] / np.maximum(lengths, 1e-12),
            label_scores=odds[:, :-1] if self._heads else None,
            frontal=odds[:, -1] if self._heads else None,
        )

    def embed_text(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Texts in the space of the images: (n, dim), unit length.

        Raises UserError for an encoder without a text tower.
        """
        if self._embed_text is None:
            raise UserError(
                f"the encoder '{self.spec.name}' has no text tower: search with an image, or build "
                "the index with an encoder that has one, such as pretrained/encoder"
            )
        if not texts:
            return np.zeros((0, self.spec.dim), np.float32)
        vectors = self._embed_text(texts)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: npt.NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit


class _Heads(nn.Module):
    """Tower, projection and heads as one row of numbers per image."""

    def __init__(self, visual: TimmModel, heads: dict[str, Tensor]) -> None:
        super().__init__()
        self.visual = visual
        self.labels = _linear(heads["labels.weight"], heads["labels.bias"])
        self.frontal = _linear(heads["frontal.weight"], heads["frontal.bias"])

    def forward(self, pixels: Tensor) -> Tensor:
        pooled = self.visual.trunk(pixels)
        parts = [self.visual.head(pooled), self.labels(pooled), self.frontal(pooled)]
        return torch.cat(parts, dim=1)


def from_folder(folder: Path, *, name: str, device: str = "cpu") -> OpenClipEncoder:
    """An encoder from a folder in open_clip's format.

    Raises NotFoundError for a missing file, MismatchError for files that do not belong together.
    """
    config = _read_config(folder)
    if "text_tower" not in config:
        return from_open_clip(f"local-dir:{folder}", name=name, device=device)
    weights = folder / MODEL
    if not weights.is_file():
        raise NotFoundError(f"{folder} has a {CONFIG} but no {MODEL}: export the encoder again")
    files = [folder / CONFIG, weights, folder / HEADS]
    key = cache_key(*files) if files[-1].is_file() else None
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
        label_thresholds=config.get("label_thresholds"),
        embed_text=text,
        device=device,
    )


def read_network(folder: Path) -> nn.Module:
    """Tower, projection and heads of such a folder in torch: (n, 3, size, size) to rows.

    Raises NotFoundError for a missing file, MismatchError for files that do not belong together.
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


def from_open_clip(
    identifier: str, *, name: str | None = None, device: str = "cpu"
) -> OpenClipEncoder:
    """Any dual encoder that open_clip can load; ``identifier`` as for `load_encoder`."""
    name = name or identifier
    model_name, tag = identifier, None
    if not identifier.startswith(("hf-hub:", "local-dir:")):
        model_name, _, tag = identifier.rpartition("/")
        if tag not in open_clip.list_pretrained_tags_by_model(model_name):
            raise UserError(
                f"unknown encoder '{identifier}': use 'imagenet', a folder in open_clip's format, "
                "an open_clip model and weights as MODEL/TAG, or 'hf-hub:ORGANISATION/MODEL'"
            )
    try:
        model = open_clip.create_model(model_name, pretrained=tag, require_pretrained=True)
        tokenizer = open_clip.get_tokenizer(model_name)
    except Exception as error:  # what a hub, a cache and a checkpoint can raise is without end
        raise UserError(
            f"the encoder '{name}' cannot be loaded ({type(error).__name__}: {error}): check its "
            "name and the network, or download it and name its folder"
        ) from error
    model = model.float().eval()
    visual = model.visual
    with torch.inference_mode():
        preprocess = PreprocessCfg(**visual.preprocess_cfg)
        size = preprocess.size if isinstance(preprocess.size, int) else max(preprocess.size)
        dim = int(visual(torch.zeros(1, 3, size, size)).shape[-1])
    digest = _state_sha256(visual.state_dict())
    return OpenClipEncoder(
        in_torch(visual, device),
        name=name,
        weights_sha256=digest,
        dim=dim,
        preprocess=preprocess,
        embed_text=open_clip_text(model, tokenizer, device),
        device=device,
    )


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise NotFoundError(f"{folder} is not an encoder: it has no {CONFIG}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): export the encoder again") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is not a JSON object: export the encoder again")
    return config


def _state_sha256(state: Mapping[str, Tensor]) -> str:
    """Hex SHA-256 over the names and values of weights that come from no single file."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}:{value.dtype}:{tuple(value.shape)}:".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
