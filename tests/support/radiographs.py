"""Drawn images: no patient, no data set, only the coarse look of a chest radiograph."""

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter


def draw_radiograph(
    seed: int,
    *,
    size: tuple[int, int] = (512, 420),
    view: Literal["PA", "LATERAL"] = "PA",
    opacity: bool = False,
) -> npt.NDArray[np.uint8]:
    """An image (height, width) = ``size``: black air, dark lungs, bright mediastinum, ribs, noise.

    Every seed is another "patient": position and size of lungs and heart, tilt of the ribs, noise.
    ``opacity`` adds a round bright patch within a lung. The same arguments give the same pixels.
    """
    return _drawn(seed, size, view, opacity).copy()


@lru_cache(maxsize=128)
def _drawn(
    seed: int, size: tuple[int, int], view: Literal["PA", "LATERAL"], opacity: bool
) -> npt.NDArray[np.uint8]:
    random = np.random.default_rng([seed, view == "LATERAL"])
    width, height = 420, 512

    def shift(spread: float) -> float:
        return float(random.uniform(-spread, spread))

    image = Image.new("L", (width, height), 12)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((14 + shift(8), 30 + shift(12), 406 + shift(8), 530), 90, fill=165)
    draw.rectangle((180, 0, 240, 60), fill=170)  # neck
    ribs = 40 + int(shift(12))
    if view == "PA":
        lungs = [
            (60 + shift(14), 80 + shift(20), 190 + shift(8), 390 + shift(30)),
            (235 + shift(8), 80 + shift(20), 362 + shift(14), 390 + shift(30)),
        ]
        heart = (165 + shift(10), 250 + shift(25), 300 + shift(25), 415 + shift(15))
        spine = (194 + shift(5), 40, 228 + shift(5), 512)
    else:
        lungs = [(90 + shift(20), 80 + shift(20), 330 + shift(20), 400 + shift(25))]
        heart = (90 + shift(12), 240 + shift(25), 220 + shift(20), 390 + shift(15))
        spine = (300 + shift(12), 60, 345 + shift(12), 512)
    for lung in lungs:
        draw.ellipse(lung, fill=50 + int(shift(12)))
    for row in range(7):
        top = 70 + row * ribs
        for left in (40, 220) if view == "PA" else (70,):
            end = 210 if view == "PA" else 360
            box = (left, top, left + (end - 40 if view == "PA" else end - 70), top + 110)
            draw.arc(box, 190 + shift(10), 350 + shift(10), fill=105, width=7)
    draw.ellipse(heart, fill=205)
    draw.rectangle(spine, fill=225)
    if opacity:
        left, top, right, bottom = lungs[0]
        x, y = (left + right) / 2 + shift(15), (top + bottom) / 2 + shift(40)
        radius = 34 + shift(8)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=190)
    image = image.filter(ImageFilter.GaussianBlur(4))
    image = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    noisy = np.asarray(image, np.float32) + random.normal(0, 3, size)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def similarity(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> float:
    """Pearson correlation of two images of one shape; -1 for an image and its negative."""
    return float(np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1])
