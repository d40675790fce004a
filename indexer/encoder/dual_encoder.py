"""The class that runs any image encoder, perhaps with a text tower.

`indexer.encoder.load.load_encoder` makes one; torch is imported only by what runs in it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from db.errors import UserError
from db.labels import EXTRA_FINDINGS, OBSERVATIONS
from indexer.encoder.preprocessing import PreprocessConfig, Preprocessing
from indexer.encoder.spec import ClassMaps, EncoderSpec, ImageEmbeddings
from indexer.encoder.text import EmbedText

Forward = Callable[[npt.NDArray[np.float32]], tuple[npt.NDArray[np.float32], ...]]
"""Pixels (n, 3, size, size) to the outputs of a network: embeddings and, after them, the logits of
the heads, (n, width); then, of a network with a label head, its class maps (n, 14, rows, columns).
"""

Start = Callable[..., Callable[[], npt.NDArray[np.float32]]]
"""Fitted images with mean and standard deviation of the channels, as
`indexer.encoder.device.TorchForward.start` takes them, to what waits for their rows."""

BATCH = 16
"""Images per forward pass on the CPU; fixed, because the batch shape may change the last bits of a
vector."""
BATCH_CUDA = 128


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
        preprocess: PreprocessConfig,
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
        self.fit = self.prepare.fit
        """See `indexer.encoder.spec.FittingEncoder`."""
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
        odds = 1 / (1 + np.exp(-rows[:, dim:]))
        return ImageEmbeddings(
            vectors=_unit(rows[:, :dim]),
            label_scores=odds[:, :n] if self._heads else None,
            frontal=odds[:, n] if self._heads else None,
            extra_scores=odds[:, n + 1 :] if self._extra else None,
            class_maps=tuple(maps) if maps else None,
        )

    def start(self, fitted: npt.NDArray[np.uint8]) -> Callable[[], npt.NDArray[np.float32]]:
        """See `indexer.encoder.spec.FittingEncoder`."""
        queue: Start = getattr(self.forward, "start", self._at_once)
        parts = [fitted[at : at + self._batch] for at in range(0, len(fitted), self._batch)]
        waiting = [queue(part, *self.prepare.mean_std) for part in parts]

        def wait() -> npt.NDArray[np.float32]:
            none = np.zeros((0, self.spec.dim), np.float32)
            found = np.concatenate([none, *(one()[:, : self.spec.dim] for one in waiting)])
            return _unit(found)

        return wait

    def _at_once(
        self, fitted: npt.NDArray[np.uint8], *_: npt.NDArray[np.float32]
    ) -> Callable[[], npt.NDArray[np.float32]]:
        rows = self.forward(self.prepare.normalised(fitted))[0]
        return lambda: rows

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
        return _unit(self._embed_text(texts))


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
