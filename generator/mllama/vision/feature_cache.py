"""Encoded images by their content, so that several tasks on one study encode its image once.

features = FeatureCache(encode, max_bytes=256_000_000)
image, other = features.of([canvas, another])     # the same objects as long as they are kept
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from threading import Lock

from PIL import Image

from generator.mllama.vision.encoder import EncodedImage


class FeatureCache:
    """The encoded images used last, one row each, limited by their memory."""

    def __init__(
        self, encode: Callable[[Sequence[Image.Image]], EncodedImage], *, max_bytes: int
    ) -> None:
        self._encode = encode
        self._max_bytes = max_bytes
        self._images: OrderedDict[str, EncodedImage] = OrderedDict()
        self._lock = Lock()

    def of(self, images: Sequence[Image.Image]) -> list[EncodedImage]:
        """Those that are not kept are encoded together."""
        keys = [_digest(image) for image in images]
        found: dict[str, EncodedImage] = {}
        with self._lock:
            for key in keys:
                if key in self._images:
                    self._images.move_to_end(key)
                    found[key] = self._images[key]
        missing = {key: one for key, one in zip(keys, images, strict=True) if key not in found}
        if missing:
            encoded = self._encode(list(missing.values())).apart()
            with self._lock:
                for key, one in zip(missing, encoded, strict=True):
                    found[key] = self._images.setdefault(key, one)
                while len(self._images) > 1 and self._bytes() > self._max_bytes:
                    self._images.popitem(last=False)
        return [found[key] for key in keys]

    def _bytes(self) -> int:
        return sum(
            part.nbytes for one in self._images.values() for pair in one.pairs for part in pair
        )


def _digest(image: Image.Image) -> str:
    return sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()
