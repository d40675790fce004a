"""Small images in a pack: image files one after the other, decoded onto black squares."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from PIL import Image

IMAGE_SIZE = 256


def encode_image(image: Image.Image, quality: int) -> bytes:
    """Encode as WebP, at most `IMAGE_SIZE` on its longest side."""
    if max(image.size) > IMAGE_SIZE:
        image = _scaled(image)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality, method=4)
    return out.getvalue()


def decode_images(
    data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Decode f images, each as large as fits in the middle of a black square: (f, 256, 256)."""
    starts = np.concatenate([[0], ends[:-1]])

    def decode(bounds: tuple[int, int]) -> npt.NDArray[np.uint8]:
        with Image.open(io.BytesIO(data[slice(*bounds)].tobytes())) as image:
            grey = image.convert("L")
        return letterbox(np.asarray(grey if max(grey.size) == IMAGE_SIZE else _scaled(grey)))

    with ThreadPoolExecutor() as pool:
        return np.stack(list(pool.map(decode, zip(starts.tolist(), ends.tolist(), strict=True))))


def letterbox(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Put an image of at most 256 x 256 in the middle of a black square, as open_clip pads it."""
    height, width = image.shape
    square = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    top, left = (IMAGE_SIZE - height) // 2, (IMAGE_SIZE - width) // 2
    square[top : top + height, left : left + width] = image
    return square


def _scaled(image: Image.Image) -> Image.Image:
    longest = max(image.size)
    width, height = (max(1, round(side * IMAGE_SIZE / longest)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)
