"""Encoded images by their content, so that several tasks on one study encode its image once.

features = FeatureCache(encode, max_bytes=256_000_000)
image = features.of(canvas)         # the same object as long as it is kept
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

    def of(self, image: Image.Image) -> EncodedImage:
        key = sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()
        with self._lock:
            if key in self._images:
                self._images.move_to_end(key)
                return self._images[key]
        encoded = self._encode([image])
        with self._lock:
            encoded = self._images.setdefault(key, encoded)
            while len(self._images) > 1 and self._bytes() > self._max_bytes:
                self._images.popitem(last=False)
        return encoded

    def _bytes(self) -> int:
        return sum(
            part.nbytes for one in self._images.values() for pair in one.pairs for part in pair
        )
