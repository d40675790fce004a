"""Draw frontal chest X-rays: no patient, no data set.

    pixels = draw_chest(seed=3, findings={"Cardiomegaly"})

Thickness adds up as it does for X-rays: every structure is a map of attenuation, and the sum
becomes a grey level. Coordinates are fractions of the side; the patient's right is on the left.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Finding = Literal[
    "Cardiomegaly",
    "Right Effusion",
    "Left Effusion",
    "Right Opacity",
    "Left Opacity",
    "Nodule",
    "Edema",
    "Pacemaker",
]
"""What can be drawn into a chest."""

Point = tuple[float, float]
Map = npt.NDArray[Any]

_RIBS = 9


def draw_chest(
    seed: int, findings: Collection[Finding] = (), *, side: int = 512
) -> npt.NDArray[np.uint8]:
    """A drawn PA view as (side, side) uint8, bright where much is absorbed.

    Another seed is another build: size of lungs and heart, slope of the ribs, vessels, exposure.
    The same arguments give the same pixels.
    """
    return _Chest(seed, frozenset(findings), side).pixels()


class _Chest:
    def __init__(self, seed: int, findings: frozenset[Finding], side: int) -> None:
        self.random = np.random.default_rng(seed)
        self.findings = findings
        self.side = side
        self.wide = 1 + self._spread(0.05)
        self.high = 1 + self._spread(0.05)
        self.centre = 0.5 + self._spread(0.008)
        self.slope = 0.075 + self._spread(0.012)
        self.dome = 0.735 + self._spread(0.025)
        enlarged = 0.095 if "Cardiomegaly" in findings else 0.0
        self.heart = 0.150 + enlarged + self._spread(0.008)

    def pixels(self) -> npt.NDArray[np.uint8]:
        lungs = self._lungs()
        centre = self._mediastinum()
        lungs *= 1 - np.clip(1.25 * centre, 0, 1)  # there is no air where the heart is
        density = self._body() - 1.02 * lungs + 0.50 * centre - self._airways()
        density += self._abdomen(lungs) + self._skeleton()
        density += self._vessels(lungs) + self._disease(lungs)
        density = np.clip(density, 0, None)
        light = 1 - np.exp(-1.05 * density)
        light = (light / 0.93) ** (1.25 + self._spread(0.08))
        noise = np.clip(self.random.normal(128, 40, light.shape), 0, 255).astype(np.uint8)
        grain = _blur(Image.fromarray(noise), 0.9) - 0.5
        grey = 255 * light + 45 * grain + self._spread(5)
        image = Image.fromarray(np.clip(grey, 4, 250).astype(np.uint8))
        self._mark(image)
        return np.asarray(image)

    # Structures

    def _body(self) -> Map:
        shoulder = 0.215 + self._spread(0.015)
        outline = [
            (0.425, -0.05), (0.42, 0.06), (0.36, 0.105), (0.20, 0.135), (0.06, shoulder),
            (-0.06, 0.34), (-0.06, 0.48), (0.035, 0.50), (0.075, 0.60), (0.085, 0.80), (0.07, 1.06),
        ]  # fmt: skip
        body = self._fill(_both(outline), 0.012) * 0.92
        muscle = [(0.02, 0.25), (0.17, 0.17), (0.23, 0.26), (0.13, 0.40), (0.02, 0.50)]
        return body + self._fill(muscle, 0.03) * 0.22 + self._fill(_flip(muscle), 0.03) * 0.22

    def _lungs(self) -> Map:
        right = [
            (0.415, 0.135), (0.345, 0.125), (0.275, 0.185), (0.215, 0.30), (0.175, 0.45),
            (0.155, 0.60), (0.150, self.dome + 0.075), (0.20, self.dome + 0.035),
            (0.27, self.dome - 0.012), (0.34, self.dome - 0.015), (0.42, self.dome + 0.02),
            (0.452, 0.62), (0.445, 0.45), (0.45, 0.30), (0.455, 0.20),
        ]  # fmt: skip
        lower = self.dome + 0.022
        left = [
            (0.585, 0.135), (0.655, 0.125), (0.725, 0.185), (0.785, 0.30), (0.825, 0.45),
            (0.845, 0.60), (0.850, lower + 0.075), (0.80, lower + 0.04), (0.73, lower),
            (0.66, lower - 0.005), (0.60, lower + 0.01), (0.565, 0.60), (0.55, 0.45),
            (0.56, 0.32), (0.545, 0.20),
        ]  # fmt: skip
        air = self._fill(right, 0.008) + self._fill(left, 0.008)
        rows = np.linspace(0, 1, self.side, dtype=np.float32)[:, None]
        thick = 0.62 + 0.16 * np.sin(np.clip((rows - 0.1) / 0.7, 0, 1) * np.pi)
        lungs: Map = np.clip(air, 0, 1) * thick
        return lungs

    def _mediastinum(self) -> Map:
        c, h = self.centre, self.heart
        base = self.dome + 0.01
        heart = [
            (c - 0.055, 0.42), (c - 0.042 - 0.2 * h, 0.52), (c - 0.030 - 0.35 * h, 0.62),
            (c - 0.065, base), (c + 0.05, base + 0.03), (c + h - 0.01, base + 0.018),
            (c + h + 0.012, 0.70), (c + h - 0.02, 0.62), (c + 0.095, 0.53), (c + 0.065, 0.45),
            (c + 0.03, 0.40),
        ]  # fmt: skip
        vessels = [
            (c - 0.05, 0.10), (c - 0.052, 0.25), (c - 0.06, 0.38), (c - 0.03, 0.62),
            (c + 0.05, 0.62), (c + 0.062, 0.42), (c + 0.052, 0.385), (c + 0.072, 0.345),
            (c + 0.066, 0.305), (c + 0.048, 0.28), (c + 0.045, 0.10),
        ]  # fmt: skip
        return np.maximum(self._fill(heart, 0.007), 0.85 * self._fill(vessels, 0.009))

    def _airways(self) -> Map:
        c = self.centre
        trachea = [
            (c - 0.018, 0.0), (c - 0.019, 0.22), (c - 0.014, 0.335), (c + 0.016, 0.335),
            (c + 0.020, 0.22), (c + 0.018, 0.0),
        ]  # fmt: skip
        found = 0.34 * self._fill(trachea, 0.006)
        for way in (-1, 1):
            bronchus = [(c, 0.33), (c + way * 0.035, 0.375), (c + way * 0.07, 0.405)]
            found += 0.20 * self._line(bronchus, 0.020, 0.006)
        return found

    def _abdomen(self, lungs: Map) -> Map:
        below = [
            (0.06, self.dome + 0.10), (0.20, self.dome + 0.03), (0.30, self.dome - 0.02),
            (0.42, self.dome + 0.02), (0.55, self.dome + 0.04), (0.70, self.dome + 0.02),
            (0.80, self.dome + 0.05), (0.94, self.dome + 0.11), (0.96, 1.1), (0.04, 1.1),
        ]  # fmt: skip
        found = self._fill(below, 0.02) * 0.75 * (1 - np.clip(lungs * 1.6, 0, 1))
        x = 0.66 + self._spread(0.02)
        bubble = _oval(x, self.dome + 0.095, 0.055 + self._spread(0.01), 0.032)
        return found - self._fill(bubble, 0.012) * 0.55

    def _skeleton(self) -> Map:
        found = self._spine()
        for way in (1, -1):
            found += self._side(way)
        return found

    def _spine(self) -> Map:
        c = self.centre + 0.003
        found = self._line([(c, -0.05), (c, 1.05)], 0.062, 0.010) * 0.20
        for number in range(17):
            y = 0.02 + number * 0.058
            body = _oval(c, y, 0.033, 0.022)
            found += self._fill(body, 0.005) * 0.13
            found += self._line([(c, y - 0.005), (c, y + 0.02)], 0.009, 0.004) * 0.10
        return found

    def _side(self, way: int) -> Map:
        """Clavicle, scapula and ribs of one side; ``way`` is 1 for the left of the image."""
        found = np.zeros((self.side, self.side), np.float32)

        def at(x: float, y: float) -> Point:
            return (self.centre - way * x, y)

        tilt = self._spread(0.012)
        clavicle = [
            at(0.035, 0.178),
            at(0.12, 0.160 + tilt),
            at(0.22, 0.150 + tilt),
            at(0.34, 0.118),
        ]
        found += self._tube(clavicle, 0.028, 0.34)
        blade = [at(0.40, 0.20), at(0.335, 0.24), at(0.315, 0.42), at(0.35, 0.47), at(0.40, 0.33)]
        found += self._fill(blade, 0.008) * 0.16
        arm = [at(0.425, 0.185), at(0.47, 0.30), at(0.53, 0.50)]
        found += self._tube(arm, 0.062, 0.40)
        for number in range(_RIBS):
            y = 0.115 + number * 0.071
            out = min(0.22 + 0.038 * number, 0.352) * self.wide
            drop = self.slope * (0.55 + 0.10 * number)
            back = [
                at(0.035, y), at(0.35 * out, y - 0.022 + 0.25 * drop),
                at(0.72 * out, y + 0.55 * drop), at(0.97 * out, y + 1.35 * drop),
            ]  # fmt: skip
            found += self._tube(back, 0.028, 0.185)
            if 1 <= number <= 6:
                front = [
                    at(0.985 * out, y + 1.35 * drop + 0.012), at(0.82 * out, y + 0.115 + drop),
                    at(0.55 * out, y + 0.165 + drop), at(0.33 * out, y + 0.185 + drop),
                ]  # fmt: skip
                found += self._tube(front, 0.030, 0.085)
        return found

    def _vessels(self, lungs: Map) -> Map:
        """Hila and the arteries that branch from them, thinner outward."""
        found = np.zeros((self.side, self.side), np.float32)
        for way, y in ((-1, 0.445), (1, 0.425)):
            hilum = (self.centre + way * 0.082, y)
            for _ in range(3):
                x, z = hilum[0] + self._spread(0.018), hilum[1] + self._spread(0.03)
                found += self._fill(_oval(x, z, 0.020, 0.030), 0.010) * 0.13
            for turn in np.linspace(-1.25, 1.35, 8):
                root = (
                    hilum[0] + self._spread(0.012),
                    hilum[1] + 0.035 * turn + self._spread(0.01),
                )
                length = 0.15 + self._spread(0.03)
                self._branch(found, root, turn + self._spread(0.16), length, 0.0088, way, 0)
        more = 1.9 if "Edema" in self.findings else 1.0
        return found * np.clip(lungs * 1.7, 0, 1) * more

    def _branch(
        self,
        found: Map,
        start: Point,
        turn: float,
        length: float,
        width: float,
        way: int,
        depth: int,
    ) -> None:
        bend = turn + self._spread(0.18)
        middle = _step(start, turn, 0.5 * length, way)
        end = _step(middle, bend, 0.5 * length, way)
        found += self._line([start, middle, end], width, 0.0022) * (0.115 - 0.020 * depth)
        if depth < 3:
            for fork in (-0.38, 0.34):
                self._branch(
                    found,
                    end,
                    bend + fork + self._spread(0.12),
                    0.66 * length,
                    0.66 * width,
                    way,
                    depth + 1,
                )

    # Findings

    def _disease(self, lungs: Map) -> Map:
        found = np.zeros((self.side, self.side), np.float32)
        for name, way in (("Right Effusion", -1), ("Left Effusion", 1)):
            if name in self.findings:
                found += self._effusion(way, lungs)
        for name, way in (("Right Opacity", -1), ("Left Opacity", 1)):
            if name in self.findings:
                found += self._opacity(way, lungs)
        if "Edema" in self.findings:
            for way in (-1, 1):
                cloud = _oval(self.centre + way * 0.15, 0.50, 0.105, 0.17)
                found += self._fill(cloud, 0.045) * 0.42 * np.clip(lungs * 1.7, 0, 1)
        if "Nodule" in self.findings:
            way = self.random.choice((-1, 1))
            x = self.centre + way * (0.20 + self._spread(0.04))
            found += self._fill(_oval(x, 0.36 + self._spread(0.08), 0.026, 0.025), 0.004) * 0.36
        if "Pacemaker" in self.findings:
            found += self._pacemaker()
        return found

    def _effusion(self, way: int, lungs: Map) -> Map:
        c = self.centre
        level = 0.52 + self._spread(0.04)
        fluid = [
            (c + way * 0.375, level - 0.06), (c + way * 0.33, level + 0.045),
            (c + way * 0.24, level + 0.085), (c + way * 0.12, level + 0.13),
            (c + way * 0.04, 0.83), (c + way * 0.40, 0.87),
        ]  # fmt: skip
        return self._fill(fluid, 0.018) * (0.92 * np.clip(lungs * 1.25, 0, 1) + 0.05)

    def _opacity(self, way: int, lungs: Map) -> Map:
        x, y = self.centre + way * (0.215 + self._spread(0.03)), 0.60 + self._spread(0.05)
        found = np.zeros((self.side, self.side), np.float32)
        for _ in range(7):
            part = _oval(
                x + self._spread(0.045), y + self._spread(0.05),
                0.055 + self._spread(0.012), 0.050 + self._spread(0.012),
            )  # fmt: skip
            found += self._fill(part, 0.016) * 0.22
        return found * np.clip(lungs * 1.5, 0, 1)

    def _pacemaker(self) -> Map:
        c = self.centre
        found = self._fill(_oval(0.765, 0.245, 0.046, 0.040), 0.002) * 1.25
        found += self._line(
            [(0.755, 0.215), (0.70, 0.175), (0.60, 0.195), (c - 0.03, 0.26)], 0.006, 0.001
        )
        lead = [
            (c - 0.03, 0.26),
            (c - 0.055, 0.40),
            (c - 0.05, 0.60),
            (c + 0.06, 0.70),
            (c + 0.11, 0.705),
        ]
        return found + self._line(lead, 0.006, 0.001) * 1.1

    # Drawing

    def _spread(self, spread: float) -> float:
        return float(self.random.uniform(-spread, spread))

    def _fill(self, points: Sequence[Point], soft: float) -> Map:
        """A closed outline as 0 to 1, its edge ``soft`` of the side."""
        return self._paint(_smooth(points, closed=True), soft, None)

    def _line(self, points: Sequence[Point], width: float, soft: float) -> Map:
        return self._paint(_smooth(points, closed=False), soft, width)

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
        found[low[1] : high[1], low[0] : high[0]] = _blur(small, soft * self.side)
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


def _blur(image: Image.Image, radius: float) -> Map:
    """An image of 8 bits as 0 to 1, blurred."""
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def _both(half: Sequence[Point]) -> list[Point]:
    """An outline from its left half, from top to bottom."""
    return [*half, *reversed(_flip(half))]


def _flip(points: Sequence[Point]) -> list[Point]:
    return [(1 - x, y) for x, y in points]


def _oval(x: float, y: float, across: float, along: float) -> list[Point]:
    turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    return [(x + across * float(np.cos(t)), y + along * float(np.sin(t))) for t in turns]


def _step(start: Point, turn: float, length: float, way: int) -> Point:
    """From ``start`` outward; ``turn`` is 0 for level, positive for down."""
    return (
        start[0] + way * length * float(np.cos(turn)),
        start[1] + length * float(np.sin(turn)),
    )


def _smooth(points: Sequence[Point], *, closed: bool) -> list[Point]:
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
