"""Rows of earlier prompts, from which prompts with the same beginning on the same image go on.

cache = PrefixCache(slots=4096)
row = rows.start(slots=700, image=image)
shared = cache.fill(row, tokens)        # the first ``shared`` are in it
cache.keep(row, tokens)

Several tasks on one study share its image and its cases, and a repeated request all of its prompt.
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from generator.mllama.decoding.rows import CacheRow


class PrefixCache:
    """The rows used last, limited by their slots. Safe to use from several threads."""

    def __init__(self, *, slots: int) -> None:
        """``slots``: of all rows together; 0 keeps none."""
        self._most = slots
        self._rows: OrderedDict[tuple[int, ...], CacheRow] = OrderedDict()
        self._lock = Lock()

    def fill(
        self,
        row: CacheRow,
        tokens: Sequence[int],
        others: Sequence[tuple[Sequence[int], CacheRow]] = (),
    ) -> int:
        """Fill an empty row with the longest beginning of ``tokens`` that a kept row holds, or one
        of ``others`` (tokens and their row); how many these are, never all of ``tokens``."""
        best, longest = None, 0
        with self._lock:
            for given, other in [*self._rows.items(), *others]:
                held = min(common(given, tokens), other.used, len(tokens) - 1)
                if other.image is row.image and held > longest:
                    best, longest = other, held
            for key, kept in list(self._rows.items()):
                if kept is best:
                    self._rows.move_to_end(key)
            if best is not None:
                row.copy_prefix(best, longest)
        return longest

    def keep(self, row: CacheRow, tokens: Sequence[int]) -> None:
        """Keep a row that holds ``tokens`` and maybe an answer, which is forgotten."""
        row.truncate(len(tokens))
        with self._lock:
            self._rows[tuple(tokens)] = row
            self._rows.move_to_end(tuple(tokens))
            while self._rows and sum(one.slots for one in self._rows.values()) > self._most:
                self._rows.popitem(last=False)


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))
