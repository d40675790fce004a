"""Soft shapes as attenuation maps, on a square whose coordinates are fractions of its side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]
Map = npt.NDArray[Any]


class Drawing:
    """A square on which shapes are drawn, each a map of (side, side) float32."""

    def __init__(self, seed: int, side: int) -> None:
        self.random = np.random.default_rng(seed)
        self.side = side
        self.wide = 1 + self._spread(0.05)
        self.high = 1 + self._spread(0.05)

    def _spread(self, spread: float) -> float:
        return float(self.random.uniform(-spread, spread))

    def _fill(self, points: Sequence[Point], soft: float) -> Map:
        """A closed outline as 0 to 1, its edge ``soft`` of the side."""
        return self._paint(smooth(points, closed=True), soft, None)

    def _line(self, points: Sequence[Point], width: float, soft: float) -> Map:
        return self._paint(smooth(points, closed=False), soft, width)

    def _paint(self, points: Sequence[Point], soft: float, width: float | None) -> Map:
        """Draw at twice the size, only where there is something to draw."""
        at = np.asarray([self._place(point) for point in points])
        margin = self.side * (3 * soft + (width or 0)) + 2
        low = np.clip(np.floor(at.min(axis=0) - margin), 0, self.side).astype(int)
        high = np.clip(np.ceil(at.max(axis=0) + margin), 0, self.side).astype(int)
        found = np.zeros((self.side, self.side), np.float32)
        if (high <= low).any():
            return found
        across, along = (int(n) for n in high - low)
        image = Image.new("L", (2 * across, 2 * along))
        draw = ImageDraw.Draw(image)
        line = [(float(x), float(y)) for x, y in 2 * (at - low)]
        if width is None:
            draw.polygon(line, fill=255)
        else:
            draw.line(line, fill=255, width=max(1, round(2 * width * self.side)), joint="curve")
        small = image.resize((across, along), Image.Resampling.BOX)
        found[low[1] : high[1], low[0] : high[0]] = blur(small, soft * self.side)
        return found

    def _tube(self, points: Sequence[Point], width: float, strength: float) -> Map:
        """A bone: its cortex, at the edges, is denser than its marrow."""
        whole, marrow = self._line(points, width, 0.0022), self._line(points, 0.60 * width, 0.0028)
        return strength * (whole - 0.42 * marrow)

    def _place(self, point: Point) -> Point:
        x, y = point
        return (
            self.side * (0.5 + (x - 0.5) * self.wide),
            self.side * (0.45 + (y - 0.45) * self.high),
        )

    def _mark(self, image: Image.Image) -> None:
        draw = ImageDraw.Draw(image)
        size = self.side / 20
        draw.text((0.045 * self.side, 0.035 * self.side), "R", fill=235, font_size=1.3 * size)
        draw.text((0.865 * self.side, 0.045 * self.side), "DRAWN", fill=190, font_size=0.62 * size)


def blur(image: Image.Image, radius: float) -> Map:
    """An image of 8 bits as 0 to 1, blurred."""
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def both(half: Sequence[Point]) -> list[Point]:
    """An outline from its left half, from top to bottom."""
    return [*half, *reversed(flip(half))]


def flip(points: Sequence[Point]) -> list[Point]:
    return [(1 - x, y) for x, y in points]


def oval(x: float, y: float, across: float, along: float) -> list[Point]:
    turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    return [(x + across * float(np.cos(t)), y + along * float(np.sin(t))) for t in turns]


def step(start: Point, turn: float, length: float, way: int) -> Point:
    """From ``start`` outward; ``turn`` is 0 for level, positive for down."""
    return (
        start[0] + way * length * float(np.cos(turn)),
        start[1] + length * float(np.sin(turn)),
    )


def smooth(points: Sequence[Point], *, closed: bool) -> list[Point]:
    """A Catmull-Rom curve through the points."""
    known = np.asarray(points, float)
    padded = (
        np.vstack([known[-1:], known, known[:2]])
        if closed
        else np.vstack([known[:1], known, known[-1:]])
    )
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    pieces = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(
            0.5
            * (
                2 * p1
                + (p2 - p0) * t
                + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
                + (3 * p1 - p0 - 3 * p2 + p3) * t**3
            )
        )
    return [
        (float(x), float(y))
        for x, y in np.concatenate([*pieces, known[:1] if closed else known[-1:]])
    ]
