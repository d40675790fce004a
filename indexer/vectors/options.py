"""Options for the vectors of an index, and what was built from them."""

from dataclasses import dataclass
from typing import Literal

from db.errors import UserError

VectorType = Literal["exact", "ivf"]

EXACT_BYTES = 32_000_000
"""Up to this many bytes of float32, an exact search takes a few milliseconds; measured in
``bench/index/vector_index.py``."""


@dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """What to build. Raises UserError for a value that is out of range."""

    type: Literal["auto", "exact", "ivf"] = "auto"
    memory_bytes: int | None = None
    """Memory limit for the vectors; None: no limit for a search, free memory for a build."""
    min_recall: float = 0.98
    """The share of the 10 nearest cases that the index must find; a build that finds less fails."""

    def __post_init__(self) -> None:
        if self.type not in ("auto", "exact", "ivf"):
            raise UserError(f"no index type '{self.type}': use auto, exact or ivf")
        if not 0 <= self.min_recall <= 1:
            raise UserError(f"min_recall must be between 0 and 1, not {self.min_recall}")

    def choose(self, count: int, dim: int, *, free_bytes: int | None = None) -> VectorType:
        """Choose ``exact`` if it is fast and fits, else ``ivf``.

        ``free_bytes`` is the memory available to the build, which holds exact vectors in memory.
        Raises UserError if the vectors do not fit the memory.
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
                f"than the {room / 1e6:.0f} MB allowed: raise --memory"
            )
        if chosen == "exact" and free_bytes is not None and needed > free_bytes:
            raise UserError(
                f"{count} vectors of {dim} numbers take {needed / 1e6:.0f} MB as 'exact', which is "
                f"built in memory, and {free_bytes / 1e6:.0f} MB are free: build with "
                "--index-type ivf, or free memory and run the same command again"
            )
        return "exact" if chosen == "exact" else "ivf"


def ivf_bytes(count: int, dim: int) -> int:
    """Bytes for float16 vectors, one-bit codes with their factors, ids, and the centres."""
    return count * (2 * dim + dim // 8 + 8 + 8 + 8) + int(4 * count**0.5) * dim * 4


@dataclass(frozen=True, kw_only=True)
class VectorSpec:
    """What was built, as the manifest records it."""

    type: VectorType
    lists: int = 0
    probes: int = 0
    """Number of lists that a search reads."""
    candidates: int = 0
    """Number of vectors that a search ranks per requested hit."""
    recall: float = 1.0
    """The share of the 10 nearest other cases found, measured on a sample of indexed cases."""
    queries: int = 0
    """Number of cases in that sample; 0 for an exact search."""


@dataclass(frozen=True, kw_only=True)
class SelectivityClass:
    """How a published index is searched where so many cases may be hits."""

    share: float
    """Of the cases, above 0 to 1; the class reaches down to the share of the next one."""
    ef_search: int
    """Candidates that HNSW keeps; 0 for an exact search."""
    recall: float
    """The share of the 10 nearest other cases found, measured when the index was published; the
    lowest of a random filter and of filters by one finding."""
    queries: int
    """Number of indexed cases that it was measured on."""


@dataclass(frozen=True, kw_only=True)
class ServerSpec:
    """How a published index is searched, as the manifest on the server records it."""

    classes: tuple[SelectivityClass, ...] = ()
    """The largest share first; none if every search is exact."""
    exact_rows: int = 0
    """Searches are exact where at most so many cases may be hits."""

    def ef_search(self, left: int, count: int) -> int:
        """Return the candidates of HNSW where ``left`` of ``count`` cases may be hits; 0 for an
        exact search."""
        if left <= self.exact_rows:
            return 0
        below = [one for one in self.classes if one.share * count <= left]
        return below[0].ef_search if below else 0
