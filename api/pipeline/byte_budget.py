"""Bound the bytes that requests keep at once, however many are active.

with budget.share(owner) as share:
    await share.take(len(chunk))      # waits until there is room
    ...                               # the end of the block gives everything back
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class ByteBudget:
    """So many bytes, of all shares together.

    One share at a time may go beyond, so that none is too large for ever, and shares that hold a
    part of what they need do not wait for each other. If several owners can call (``shared``), one
    owner's shares get at most three quarters, as in `Admission`.
    """

    def __init__(self, most: int, *, shared: bool = False) -> None:
        self.taken = 0
        self._most = most
        self._most_of_owner = most * 3 // 4 if shared else most
        self._of_owner: Counter[str] = Counter()
        self._beyond: ByteShare | None = None
        self._given = anyio.Event()

    @contextmanager
    def share(self, owner: str = "") -> Iterator["ByteShare"]:
        """Make a share of the budget, which is given back at the end of the block."""
        share = ByteShare(self, owner)
        try:
            yield share
        finally:
            share.give(share.taken)

    async def take(self, share: "ByteShare", amount: int) -> None:
        """Wait until there is room for so many bytes."""
        while not self._has_room(share, amount):
            if self._beyond is None:
                self._beyond = share
            else:
                await self._given.wait()
        self._add(share.owner, amount)

    def give(self, share: "ByteShare", amount: int) -> None:
        """Give bytes back, and let those who wait look again."""
        self._add(share.owner, -amount)
        if self.taken <= self._most:
            self._beyond = None
        self._given.set()
        self._given = anyio.Event()

    def _has_room(self, share: "ByteShare", amount: int) -> bool:
        if amount == 0 or self._beyond is share:
            return True
        own = self._of_owner[share.owner] + amount
        return self.taken + amount <= self._most and own <= self._most_of_owner

    def _add(self, owner: str, amount: int) -> None:
        self.taken += amount
        self._of_owner[owner] += amount
        if not self._of_owner[owner]:
            del self._of_owner[owner]


class ByteShare:
    """What one request or job holds of a budget."""

    def __init__(self, budget: ByteBudget, owner: str) -> None:
        self.owner = owner
        self.taken = 0
        self._budget = budget

    async def take(self, amount: int) -> None:
        """Wait until there is room for so many further bytes."""
        await self._budget.take(self, amount)
        self.taken += amount

    def give(self, amount: int) -> None:
        """Give so many bytes back."""
        self.taken -= amount
        self._budget.give(self, amount)
