"""Which studies are held out for validation where no split is named.

    hold_out = HoldOut.of("patient:0.1")
    held = hold_out.draw({"p1": ..., "p2": ...})

A patient, or an image, is held out with everything that belongs to it.
"""

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Self, get_args

from db.errors import UserError

Unit = Literal["patient", "image"]


@dataclass(frozen=True, kw_only=True)
class HoldOut:
    """What is held out together, and how much of it."""

    unit: Unit = "patient"
    share: float = 0.1

    @classmethod
    def of(cls, text: str, option: str = "--hold-out") -> Self:
        """``patient:0.1``. Raises UserError, which names ``option``, for anything else."""
        unit, _, share = text.partition(":")
        try:
            number = float(share)
        except ValueError:
            number = 0.0
        if unit not in get_args(Unit) or not 0 < number < 1:
            raise UserError(
                f"{option} must be patient:SHARE or image:SHARE with a share between 0 and 1, "
                f"such as patient:0.1, not {text}"
            )
        return cls(unit="image" if unit == "image" else "patient", share=number)

    def draw(self, names: Collection[str], *, at_least: int = 1) -> frozenset[str]:
        """The same names whatever others there are, as far as ``at_least`` allows; never all."""
        ordered = sorted(names, key=lambda name: (zlib.crc32(name.encode()), name))
        below = sum(zlib.crc32(name.encode()) < self.share * 2**32 for name in ordered)
        return frozenset(ordered[: max(0, min(max(below, at_least), len(ordered) - 1))])
