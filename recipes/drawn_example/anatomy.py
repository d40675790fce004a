"""The normal structures of a chest: body, lungs, heart, airways, abdomen, bones and vessels."""

import numpy as np

from recipes.drawn_example.drawing import Drawing, Map, Point, both, flip, oval, step

_RIBS = 9


class Anatomy(Drawing):
    """One build: size of lungs and heart, slope of the ribs, vessels."""

    def __init__(self, seed: int, side: int, *, enlarged: float, vessels: float) -> None:
        """``enlarged`` is added to the heart's width; ``vessels`` multiplies their density."""
        super().__init__(seed, side)
        self.centre = 0.5 + self._spread(0.008)
        self.slope = 0.075 + self._spread(0.012)
        self.dome = 0.735 + self._spread(0.025)
        self.heart = 0.150 + enlarged + self._spread(0.008)
        self.vessel_density = vessels

    def _body(self) -> Map:
        shoulder = 0.215 + self._spread(0.015)
        outline = [
            (0.425, -0.05), (0.42, 0.06), (0.36, 0.105), (0.20, 0.135), (0.06, shoulder),
            (-0.06, 0.34), (-0.06, 0.48), (0.035, 0.50), (0.075, 0.60), (0.085, 0.80), (0.07, 1.06),
        ]  # fmt: skip
        body = self._fill(both(outline), 0.012) * 0.92
        muscle = [(0.02, 0.25), (0.17, 0.17), (0.23, 0.26), (0.13, 0.40), (0.02, 0.50)]
        return body + self._fill(muscle, 0.03) * 0.22 + self._fill(flip(muscle), 0.03) * 0.22

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
        bubble = oval(x, self.dome + 0.095, 0.055 + self._spread(0.01), 0.032)
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
            body = oval(c, y, 0.033, 0.022)
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
                found += self._fill(oval(x, z, 0.020, 0.030), 0.010) * 0.13
            for turn in np.linspace(-1.25, 1.35, 8):
                root = (
                    hilum[0] + self._spread(0.012),
                    hilum[1] + 0.035 * turn + self._spread(0.01),
                )
                length = 0.15 + self._spread(0.03)
                self._branch(found, root, turn + self._spread(0.16), length, 0.0088, way, 0)
        return found * np.clip(lungs * 1.7, 0, 1) * self.vessel_density

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
        middle = step(start, turn, 0.5 * length, way)
        end = step(middle, bend, 0.5 * length, way)
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
