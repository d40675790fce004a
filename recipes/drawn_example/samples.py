"""Draw the sample X-rays that the page offers to try: three chests and a hand.

python -m recipes.drawn_example.samples api/page/samples
"""

import io
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.files import write_bytes
from recipes.drawn_example.chest import Finding, draw_chest
from recipes.drawn_example.drawing import Drawing, Map, Point, blur, oval

SIDE = 512
QUALITY = 80
"""Of JPEG."""

CHESTS: dict[str, tuple[int, tuple[Finding, ...]]] = {
    "normal": (2001, ()),
    "effusion": (2002, ("Left Effusion",)),
    "nodule": (2003, ("Nodule",)),
}
"""Name to seed and findings; no drawn study has these seeds."""


_WRIST: Sequence[Point] = (
    *((0.44, 0.82), (0.50, 0.81), (0.56, 0.82)),
    *((0.45, 0.87), (0.51, 0.87), (0.57, 0.87)),
)


def samples() -> dict[str, npt.NDArray[np.uint8]]:
    """Every sample by name, (side, side) uint8."""
    chests = {name: draw_chest(seed, shown, side=SIDE) for name, (seed, shown) in CHESTS.items()}
    return {**chests, "hand": draw_hand(2004, side=SIDE)}


def draw_hand(seed: int, *, side: int = SIDE) -> npt.NDArray[np.uint8]:
    """A drawn hand as (side, side) uint8: an X-ray that no index of chests has seen."""
    return _Hand(seed, side).pixels()


class _Hand(Drawing):
    """Five rays of bones in soft tissue, and the wrist."""

    _RAYS: Sequence[tuple[Point, Point, Point, Point, Point]] = (
        ((0.42, 0.80), (0.32, 0.66), (0.24, 0.56), (0.18, 0.48), (0.14, 0.42)),
        ((0.46, 0.76), (0.41, 0.52), (0.38, 0.35), (0.36, 0.24), (0.35, 0.15)),
        ((0.50, 0.76), (0.50, 0.50), (0.50, 0.31), (0.50, 0.18), (0.50, 0.09)),
        ((0.54, 0.77), (0.58, 0.53), (0.61, 0.36), (0.63, 0.24), (0.64, 0.15)),
        ((0.58, 0.79), (0.66, 0.59), (0.71, 0.46), (0.74, 0.38), (0.76, 0.31)),
    )

    def pixels(self) -> npt.NDArray[np.uint8]:
        density = self._palm() + self._wrist()
        for number, ray in enumerate(self._RAYS):
            density += self._ray(ray, 0.030 if number else 0.034)
        light = 1 - np.exp(-1.3 * np.clip(density, 0, None))
        noise = np.clip(self.random.normal(128, 40, light.shape), 0, 255).astype(np.uint8)
        grey = 255 * light + 30 * (blur(Image.fromarray(noise), 0.9) - 0.5)
        image = Image.fromarray(np.clip(grey, 4, 250).astype(np.uint8))
        self._mark(image)
        return np.asarray(image)

    def _palm(self) -> Map:
        outline = [
            (0.40, 1.05), (0.38, 0.84), (0.27, 0.66), (0.36, 0.54), (0.50, 0.49),
            (0.66, 0.56), (0.66, 0.72), (0.61, 0.86), (0.60, 1.05),
        ]  # fmt: skip
        tissue: Map = 0.30 * self._fill(outline, 0.010)
        return tissue

    def _ray(self, ray: Sequence[Point], width: float) -> Map:
        tissue = [*ray[1:], self._beyond(ray[-2], ray[-1], 0.25)]
        found: Map = 0.30 * self._line(tissue, 2.4 * width, 0.008)
        for near, far in pairwise(ray):
            found += self._tube([self._beyond(far, near, -0.06), self._beyond(near, far, -0.06)],
                                width, 0.75)  # fmt: skip
            for end in (near, far):
                found += self._fill(_disc(end, 0.6 * width), 0.003) * 0.28
        return found

    def _wrist(self) -> Map:
        found = np.zeros((self.side, self.side), np.float32)
        for middle in _WRIST:
            found += self._fill(_disc(middle, 0.031), 0.004) * 0.45
        for x, width in ((0.46, 0.085), (0.56, 0.060)):
            found += self._tube([(x, 0.91), (x, 1.08)], width, 0.75)
        return found

    @staticmethod
    def _beyond(start: Point, end: Point, share: float) -> Point:
        """On the line from ``start``, beyond ``end`` by a share of its length."""
        return (end[0] + share * (end[0] - start[0]), end[1] + share * (end[1] - start[1]))


def _disc(middle: Point, radius: float) -> list[Point]:
    return oval(*middle, radius, radius)


def main(folder: Path) -> None:
    """Write ``NAME.jpg`` for every sample."""
    for name, pixels in samples().items():
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=QUALITY, optimize=True)
        write_bytes(folder / f"{name}.jpg", out.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
