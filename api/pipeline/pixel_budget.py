"""Bound the decoded pixels that are in memory at once, however many requests are active.

with budget.share() as share:
    images = await share.decode(most, decode)     # waits until there is room
    ...
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio

from indexer.images.radiograph import Radiograph


class PixelBudget:
    """So many bytes of pixels; one study is always admitted, so that none is too large for ever."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0
        self._turn = anyio.Lock()  # first come, first served
        self._given = anyio.Event()

    @contextmanager
    def share(self) -> Iterator["PixelShare"]:
        """Make a share of the budget, which is given back at the end of the block."""
        share = PixelShare(self)
        try:
            yield share
        finally:
            self.give(share.taken)

    async def take(self, amount: int) -> None:
        """Wait until there is room for so many bytes."""
        async with self._turn:
            while self.taken > 0 and self.taken + amount > self._most:
                self._given = anyio.Event()
                await self._given.wait()
            self.taken += amount

    def give(self, amount: int) -> None:
        """Give bytes back."""
        self.taken -= amount
        self._given.set()


class PixelShare:
    """What one request or job holds of the budget."""

    def __init__(self, budget: PixelBudget) -> None:
        self.taken = 0
        self._budget = budget

    async def decode(
        self, most: int, decode: Callable[[], Awaitable[list[Radiograph]]]
    ) -> list[Radiograph]:
        """Decode images of at most so many bytes, which then count with their real size."""
        await self._budget.take(most)
        self.taken += most
        images = await decode()
        size = sum(image.pixels.nbytes for image in images)
        self.taken += size - most
        self._budget.give(most - size)
        return images
