"""Encoders that `open_clip` can load, and the class that runs any image encoder.

    from_open_clip("ViT-B-32/laion2b_s34b_b79k")

Encoders trained by this project: `indexer.encoder.folder`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import open_clip
import torch
from open_clip.transform import PreprocessCfg
from torch import Tensor

from db.errors import UserError
from db.labels import EXTRA_FINDINGS, OBSERVATIONS
from indexer.encoder.device import Forward, in_torch
from indexer.encoder.preprocessing import Preprocessing
from indexer.encoder.spec import ClassMaps, EncoderSpec, ImageEmbeddings
from indexer.encoder.text import open_clip_text

BATCH = 16
"""Images per forward pass on the CPU; fixed, because the batch shape may change the last bits of a
vector."""
BATCH_CUDA = 128

EmbedText = Callable[[Sequence[str]], npt.NDArray[np.float32]]


class OpenClipEncoder:
    """An image tower, perhaps with a text tower.

    The columns of ``forward`` after ``dim`` are 14 + 1 logits with ``heads``, and 5 with ``extra``.
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
        extra: bool = False,
        label_thresholds: Mapping[str, float] | None = None,
        embed_text: EmbedText | None = None,
        device: str = "cpu",
    ) -> None:
        self._batch = BATCH if device == "cpu" else BATCH_CUDA
        self._heads, self._embed_text = heads, embed_text
        self._extra = extra
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
        dim, n = self.spec.dim, len(OBSERVATIONS)
        width = dim + (n + 1 if self._heads else 0) + (len(EXTRA_FINDINGS) if self._extra else 0)
        rows = np.zeros((len(images), width), np.float32)
        maps: list[ClassMaps] = []
        for start in range(0, len(images), self._batch):
            batch = images[start : start + self._batch]
            rows[start : start + self._batch], *of_labels = self.forward(self.prepare(batch))
            for parts in of_labels:
                maps += [
                    ClassMaps(parts=one, box=self.prepare.box(*image.shape))
                    for one, image in zip(parts, batch, strict=True)
                ]
        lengths = np.linalg.norm(rows[:, :dim], axis=1, keepdims=True)
        odds = 1 / (1 + np.exp(-rows[:, dim:]))
        return ImageEmbeddings(
            vectors=rows[:, :dim] / np.maximum(lengths, 1e-12),
            label_scores=odds[:, :n] if self._heads else None,
            frontal=odds[:, n] if self._heads else None,
            extra_scores=odds[:, n + 1 :] if self._extra else None,
            class_maps=tuple(maps) if maps else None,
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


def _state_sha256(state: Mapping[str, Tensor]) -> str:
    """Hex SHA-256 over the names and values of weights that come from no single file."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}:{value.dtype}:{tuple(value.shape)}:".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
