"""Encoders that run: an image tower with its preprocessing, its heads, and a text tower.

A folder is in `open_clip`'s format: a config beside ``open_clip_model.safetensors``. Where its
config has a ``text_tower``, the folder was written by `finetune.encoder.export`: the weights of
the text tower then come from the package named there, or lie in the folder, and are read when a
text is first embedded; ``heads.safetensors`` holds the heads for observations and view.
"""

import hashlib
import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import open_clip
import torch
from open_clip.model import CLIPVisionCfg, _build_vision_tower
from open_clip.timm_model import TimmModel
from open_clip.transform import MaybeConvertMode, PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from db.errors import MismatchError, NotFoundError, UserError
from db.labels import OBSERVATIONS
from indexer.encoder.network import IMAGENET_SHA256, TOWER, imagenet_weights
from indexer.encoder.spec import EncoderSpec, Reading
from indexer.encoder.text import TextTower, config_text_tower, open_clip_text
from indexer.encoder.weight_files import file_sha256

BATCH = 16
"""Images a forward pass; fixed, because the batch shape may change the last bits of a vector."""

CONFIG = "open_clip_config.json"
MODEL = "open_clip_model.safetensors"
HEADS = "heads.safetensors"

Forward = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""Pixels (n, 3, size, size) to embeddings, and beside them label logits and a view logit."""

EmbedText = Callable[[Sequence[str]], npt.NDArray[np.float32]]


class TowerEncoder:
    """An image tower on the CPU; with ``heads`` its columns after ``dim`` are 14 + 1 logits."""

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
    ) -> None:
        self._heads, self._embed_text = heads, embed_text
        self.forward = forward
        self.label_thresholds = dict(label_thresholds or {})
        """Observation to the probability from which on it counts as seen."""
        self._preprocess = preprocess
        steps = image_transform_v2(preprocess, is_train=False).transforms
        # What open_clip does before it makes three channels, done once for the one that differs.
        self._geometry = steps[: [type(step) for step in steps].index(MaybeConvertMode)]
        self.spec = EncoderSpec(
            name=name,
            weights_sha256=weights_sha256,
            dim=dim,
            preprocessing={key: _plain(value) for key, value in asdict(preprocess).items()},
            report_weight=report_weight,
        )

    def read(self, images: Sequence[npt.NDArray[np.uint8]]) -> Reading:
        dim = self.spec.dim
        width = dim + (len(OBSERVATIONS) + 1 if self._heads else 0)
        rows = np.zeros((len(images), width), np.float32)
        for start in range(0, len(images), BATCH):
            some = images[start : start + BATCH]
            rows[start : start + BATCH] = self.forward(self.prepare(some))
        lengths = np.linalg.norm(rows[:, :dim], axis=1, keepdims=True)
        odds = 1 / (1 + np.exp(-rows[:, dim:]))
        return Reading(
            vectors=rows[:, :dim] / np.maximum(lengths, 1e-12),
            label_scores=odds[:, :-1] if self._heads else None,
            frontal=odds[:, -1] if self._heads else None,
        )

    def prepare(self, images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """What ``forward`` takes: (n, 3, size, size)."""
        return np.stack([self._pixels(image) for image in images])

    def _pixels(self, radiograph: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(3, size, size), equal to open_clip's own transform to the last bit."""
        image = Image.fromarray(radiograph)
        for step in self._geometry:
            image = step(image)
        grey = np.asarray(image).astype(np.float32) / np.float32(255)
        mean, std = (
            np.asarray(value, np.float32)[:, None, None]
            for value in (self._preprocess.mean, self._preprocess.std)
        )
        return (grey - mean) / std

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


def imagenet() -> TowerEncoder:
    """The tower as its package publishes it, pooled features and no projection."""
    tower = TimmModel(TOWER, embed_dim=0, image_size=260, pool="avg", proj="", pretrained=False)
    trunk = tower.trunk
    own = [name for name in trunk.state_dict() if not name.startswith("classifier.")]
    trunk.load_state_dict(dict(zip(own, imagenet_weights(), strict=True)), strict=True)
    preprocess = PreprocessCfg(
        size=260,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation="bicubic",
        resize_mode="longest",
        fill_color=0,
    )
    return TowerEncoder(
        compiled(tower, 260),
        name="imagenet",
        weights_sha256=IMAGENET_SHA256,
        dim=int(trunk.num_features),
        preprocess=preprocess,
    )


class _Heads(nn.Module):
    """Tower, projection and heads as one row of numbers an image."""

    def __init__(self, visual: TimmModel, heads: dict[str, Tensor]) -> None:
        super().__init__()
        self.visual = visual
        self.labels = _linear(heads["labels.weight"], heads["labels.bias"])
        self.frontal = _linear(heads["frontal.weight"], heads["frontal.bias"])

    def forward(self, pixels: Tensor) -> Tensor:
        pooled = self.visual.trunk(pixels)
        parts = [self.visual.head(pooled), self.labels(pooled), self.frontal(pooled)]
        return torch.cat(parts, dim=1)


def from_folder(folder: Path, *, name: str) -> TowerEncoder:
    """An encoder from a folder in open_clip's format."""
    config = _read_config(folder)
    if "text_tower" not in config:
        return from_open_clip(f"local-dir:{folder}", name=name)
    weights = folder / MODEL
    if not weights.is_file():
        raise NotFoundError(f"{folder} has a {CONFIG} but no {MODEL}: export the encoder again")
    network = _network(folder, config)
    model, preprocess = config["model_cfg"], PreprocessCfg(**config["preprocess_cfg"])
    dim = int(model["embed_dim"])
    text = TextTower(
        config_text_tower(config["text_tower"], folder),
        dim=dim,
        context_length=int(model["text_cfg"]["context_length"]),
        projection=load_file(weights)["text.proj.weight"].float(),
    )
    return TowerEncoder(
        compiled(network, int(model["vision_cfg"]["image_size"])),
        name=name,
        weights_sha256=file_sha256(weights),
        dim=dim,
        preprocess=preprocess,
        report_weight=float(config.get("report_weight", 0.0)),
        heads=True,
        label_thresholds=config.get("label_thresholds"),
        embed_text=text,
    )


def read_network(folder: Path) -> nn.Module:
    """Tower, projection and heads of such a folder in torch: (n, 3, size, size) to rows.

    Raises NotFoundError for a missing file, MismatchError for files that do not belong together.
    """
    return _network(folder, _read_config(folder))


def _network(folder: Path, config: dict[str, Any]) -> "_Heads":
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


def from_open_clip(identifier: str, *, name: str | None = None) -> TowerEncoder:
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
    return TowerEncoder(
        _eager(visual),
        name=name,
        weights_sha256=_state_sha256(visual.state_dict()),
        dim=dim,
        preprocess=preprocess,
        embed_text=open_clip_text(model, tokenizer),
    )


def compiled(module: nn.Module, size: int) -> Forward:
    """The module in ONNX Runtime, which runs this tower several times faster than torch does; the
    vectors agree to 1e-4."""
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations and traces
        torch.onnx.export(
            module.eval(),
            (torch.zeros(1, 3, size, size),),
            data,  # type: ignore[arg-type]  # a stream is taken where the exporter is not dynamo's
            input_names=["pixels"],
            output_names=["rows"],
            dynamic_axes={"pixels": {0: "images"}, "rows": {0: "images"}},
            opset_version=17,
            dynamo=False,
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        data.getvalue(), options, providers=["CPUExecutionProvider"]
    )

    def forward(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        rows: npt.NDArray[np.float32] = session.run(None, {"pixels": pixels})[0]
        return rows

    return forward


def _eager(module: nn.Module) -> Forward:
    def forward(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(pixels)).float().numpy())

    return forward


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise NotFoundError(f"{folder} is no encoder: it has no {CONFIG}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}): export the encoder again") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is no JSON object: export the encoder again")
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


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
