"""Draw frontal chest X-rays: no patient, no data set.

    pixels = draw_chest(seed=3, findings={"Cardiomegaly"})

Thickness adds up as it does for X-rays: every structure is a map of attenuation, and the sum
becomes a grey level. Coordinates are fractions of the side; the patient's right is on the left.
"""

from collections.abc import Collection
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from recipes.drawn_example.anatomy import Anatomy
from recipes.drawn_example.drawing import Map, blur, oval

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


def draw_chest(
    seed: int, findings: Collection[Finding] = (), *, side: int = 512
) -> npt.NDArray[np.uint8]:
    """A drawn PA view as (side, side) uint8, bright where much is absorbed.

    Another seed is another build: size of lungs and heart, slope of the ribs, vessels, exposure.
    The same arguments give the same pixels.
    """
    return _Chest(seed, frozenset(findings), side).pixels()


class _Chest(Anatomy):
    """A chest with its findings, exposed."""

    def __init__(self, seed: int, findings: frozenset[Finding], side: int) -> None:
        super().__init__(
            seed,
            side,
            enlarged=0.095 if "Cardiomegaly" in findings else 0.0,
            vessels=1.9 if "Edema" in findings else 1.0,
        )
        self.findings = findings

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
        grain = blur(Image.fromarray(noise), 0.9) - 0.5
        grey = 255 * light + 45 * grain + self._spread(5)
        image = Image.fromarray(np.clip(grey, 4, 250).astype(np.uint8))
        self._mark(image)
        return np.asarray(image)

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
                cloud = oval(self.centre + way * 0.15, 0.50, 0.105, 0.17)
                found += self._fill(cloud, 0.045) * 0.42 * np.clip(lungs * 1.7, 0, 1)
        if "Nodule" in self.findings:
            way = self.random.choice((-1, 1))
            x = self.centre + way * (0.20 + self._spread(0.04))
            found += self._fill(oval(x, 0.36 + self._spread(0.08), 0.026, 0.025), 0.004) * 0.36
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
            part = oval(
                x + self._spread(0.045), y + self._spread(0.05),
                0.055 + self._spread(0.012), 0.050 + self._spread(0.012),
            )  # fmt: skip
            found += self._fill(part, 0.016) * 0.22
        return found * np.clip(lungs * 1.5, 0, 1)

    def _pacemaker(self) -> Map:
        c = self.centre
        found = self._fill(oval(0.765, 0.245, 0.046, 0.040), 0.002) * 1.25
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
