"""Preprocess radiographs for a network, exactly as open_clip's own transform does, without torch.

prepare = Preprocessing(PreprocessConfig(size=256, resize_mode="longest"))
pixels = prepare([image.pixels, ...])       # (n, 3, size, size)
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from PIL.Image import Resampling

ResizeMode = Literal["shortest", "longest", "squash"]


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """The fields of ``open_clip.transform.PreprocessCfg``, with its defaults."""

    size: int | tuple[int, int] = 224
    """Side of the square that the network sees; or its height and width."""
    mode: str = "RGB"
    mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)
    interpolation: str = "bicubic"
    resize_mode: ResizeMode = "shortest"
    fill_color: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for what open_clip does not know."""
        if self.mode != "RGB" or self.resize_mode not in get_args(ResizeMode):
            raise ValueError(f"unknown mode '{self.mode}' or resize_mode '{self.resize_mode}'")
        if self.interpolation not in ("bicubic", "bilinear", "random"):
            raise ValueError(f"unknown interpolation '{self.interpolation}'")

    @property
    def height_width(self) -> tuple[int, int]:
        if isinstance(self.size, int):
            return self.size, self.size
        height, width = self.size
        return height, width


class Preprocessing:
    """Resize, pad and normalise; computed once, because the three channels are equal."""

    def __init__(self, config: PreprocessConfig) -> None:
        self._config = config
        self._resample = (
            Resampling.BILINEAR if config.interpolation == "bilinear" else Resampling.BICUBIC
        )

    @property
    def values(self) -> dict[str, Any]:
        """The fields of the config as JSON values."""
        values = asdict(self._config).items()
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values}

    def box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Return where an image of this size lies in the square that the network sees.

        Left, top, right and bottom in parts of the square's side: beyond 0..1 where the image is
        cropped, within it where it has a border.
        """
        if self._config.resize_mode == "squash":
            return 0.0, 0.0, 1.0, 1.0
        fitted = max(height, width) if self._config.resize_mode == "longest" else min(height, width)
        across, along = width / fitted / 2, height / fitted / 2
        return 0.5 - across, 0.5 - along, 0.5 + across, 0.5 + along

    def __call__(self, images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Preprocess images (height, width) of any size to (n, 3, size, size)."""
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # most of it runs without the GIL
            return np.stack(list(threads.map(self.pixels, images)))

    def pixels(self, radiograph: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Preprocess one image to (3, size, size), bit-identical to open_clip's transform."""
        return self.normalised(self.fit(radiograph))

    def fit(self, radiograph: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Bring one image to the size that the network sees: (size, size)."""
        return np.asarray(self._fitted(Image.fromarray(radiograph)))

    def normalised(self, fitted: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Normalise fitted images (..., size, size) to (..., 3, size, size)."""
        grey = fitted[..., None, :, :].astype(np.float32) / np.float32(255)
        mean, std = (value[:, None, None] for value in self.mean_std)
        normal: npt.NDArray[np.float32] = (grey - mean) / std
        return normal

    @property
    def mean_std(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Mean and standard deviation of the channels, (3,) each, of pixels from 0 to 1."""
        mean, std = (np.asarray(one, np.float32) for one in (self._config.mean, self._config.std))
        return mean, std

    def _fitted(self, image: Image.Image) -> Image.Image:
        """Resize, then crop or pad around the middle."""
        height, width = self._config.height_width
        mode = self._config.resize_mode
        if mode == "squash":
            return image.resize((width, height), self._resample)
        ratios = image.height / height, image.width / width
        if mode == "shortest" and height == width:  # torchvision rounds this case down
            short = min(image.height, image.width)
            size = [int(height * side / short) for side in (image.width, image.height)]
            resized = image.resize((size[0], size[1]), self._resample)
        else:
            ratio = max(ratios) if mode == "longest" else min(ratios)
            resample = self._resample if mode == "longest" else Resampling.BICUBIC
            size = [round(side / ratio) for side in (image.width, image.height)]
            resized = image.resize((size[0], size[1]), resample)
        fill = self._config.fill_color if mode == "longest" else 0
        return _around_middle(resized, height, width, fill)


def _around_middle(image: Image.Image, height: int, width: int, fill: int) -> Image.Image:
    """Pad with ``fill`` where the image is smaller, crop where it is larger."""
    across, along = max(0, width - image.width), max(0, height - image.height)
    if across or along:
        border = (across // 2, along // 2, (across + 1) // 2, (along + 1) // 2)
        image = ImageOps.expand(image, border, fill)
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
