"""Preprocess radiographs for a network, exactly as open_clip's own transform does."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from open_clip.transform import MaybeConvertMode, PreprocessCfg, image_transform_v2
from PIL import Image


class Preprocessing:
    """Resize, pad and normalise; computed once, because the three channels are equal."""

    def __init__(self, config: PreprocessCfg) -> None:
        self._config = config
        steps = image_transform_v2(config, is_train=False).transforms
        # The steps before open_clip turns one channel into three.
        self._geometry = steps[: [type(step) for step in steps].index(MaybeConvertMode)]

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
        image = Image.fromarray(radiograph)
        for step in self._geometry:
            image = step(image)
        grey = np.asarray(image).astype(np.float32) / np.float32(255)
        mean, std = (
            np.asarray(value, np.float32)[:, None, None]
            for value in (self._config.mean, self._config.std)
        )
        return (grey - mean) / std
