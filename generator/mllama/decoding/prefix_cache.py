"""Rows of earlier prompts, from which prompts with the same beginning on the same image go on.

cache = PrefixCache(slots=4096)
row, shared = cache.begin(rows, tokens, image, slots=700)      # the first ``shared`` are in it
cache.keep(row, tokens)

Several tasks on one study share its image and its cases, and a repeated request all of its prompt.
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from generator.mllama.decoding.rows import CacheRow, RowDecoder
from generator.mllama.vision.encoder import EncodedImage


class PrefixCache:
    """The rows used last, limited by their slots. Safe to use from several threads."""

    def __init__(self, *, slots: int) -> None:
        """``slots``: of all rows together; 0 keeps none."""
        self._most = slots
        self._rows: OrderedDict[tuple[int, ...], CacheRow] = OrderedDict()
        self._lock = Lock()

    def begin(
        self,
        decoder: RowDecoder,
        tokens: Sequence[int],
        image: EncodedImage | None,
        *,
        slots: int,
    ) -> tuple[CacheRow, int]:
        """A new row, and how many of ``tokens`` it already holds: never all of them."""
        row = decoder.start(slots=slots, image=image)
        best, shared = None, 0
        with self._lock:
            for key, kept in self._rows.items():
                if kept.image is image and (common := _common(key, tokens)) > shared:
                    best, shared = key, common
            shared = min(shared, len(tokens) - 1)
            if best is not None and shared:
                self._rows.move_to_end(best)
                row.copy_prefix(self._rows[best], shared)
        return row, shared

    def keep(self, row: CacheRow, tokens: Sequence[int]) -> None:
        """Keep a row that holds ``tokens`` and maybe an answer, which is forgotten."""
        row.truncate(len(tokens))
        with self._lock:
            self._rows[tuple(tokens)] = row
            self._rows.move_to_end(tuple(tokens))
            while self._rows and sum(one.slots for one in self._rows.values()) > self._most:
                self._rows.popitem(last=False)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))
