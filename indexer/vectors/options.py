"""How the vectors of an index are to be searched, and what became of it."""

from dataclasses import dataclass
from typing import Literal

from db.errors import UserError

VectorType = Literal["exact", "ivf"]

EXACT_BYTES = 32_000_000
"""Up to so many bytes of float32 an exact search takes a few milliseconds: see
``bench/index/vector_index.py``."""


@dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """What to build. Raises UserError for a value out of range."""

    type: Literal["auto", "exact", "ivf"] = "auto"
    memory_bytes: int | None = None
    """What a search may take; None: what it needs."""
    min_recall: float = 0.98
    """Of the 10 nearest cases, what share the index must find; a build that finds less fails."""

    def __post_init__(self) -> None:
        if self.type not in ("auto", "exact", "ivf"):
            raise UserError(f"no index type '{self.type}': use auto, exact or ivf")
        if not 0 <= self.min_recall <= 1:
            raise UserError(f"min_recall must be between 0 and 1, not {self.min_recall}")

    def choose(self, count: int, dim: int) -> VectorType:
        """Exact where that is fast and fits, else ``ivf``.

        Raises UserError where not even that fits the memory given.
        """
        room = float("inf") if self.memory_bytes is None else self.memory_bytes
        exact = 4 * count * dim
        if self.type == "exact" or (self.type == "auto" and exact <= min(EXACT_BYTES, room)):
            needed, chosen = exact, "exact"
        else:
            needed, chosen = ivf_bytes(count, dim), "ivf"
        if needed > room:
            raise UserError(
                f"{count} vectors of {dim} numbers take {needed / 1e6:.0f} MB as '{chosen}', more "
                f"than the {room / 1e6:.0f} MB given: give more with --memory"
            )
        return "exact" if chosen == "exact" else "ivf"


def ivf_bytes(count: int, dim: int) -> int:
    """Vectors as float16, codes of one bit a dimension with factors, ids, and the centres."""
    return count * (2 * dim + dim // 8 + 8 + 8 + 8) + int(4 * count**0.5) * dim * 4


@dataclass(frozen=True, kw_only=True)
class VectorSpec:
    """What was built; it goes into the manifest."""

    type: VectorType
    lists: int = 0
    probes: int = 0
    """Lists that a search reads."""
    candidates: int = 0
    """Vectors that it ranks for every hit asked for."""
    recall: float = 1.0
    """Share of the 10 nearest other cases that was found for a sample of indexed cases."""
    queries: int = 0
    """Cases in that sample; 0 where every vector is compared."""
