"""Open the index again when another process of the service was told to.

The audit log is what the processes have in common: a reload is entered there with the name of its
process, and the others follow within about a second. One that cannot open the index keeps the old
one, says so in its log, and tries again.
"""

import logging

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from api.background import log_failure
from api.pipeline.current_index import CurrentIndex
from db.app.database import AppDatabase

logger = logging.getLogger(__name__)

RELOADED = "index reloaded"
"""The action of the entry; its detail ``process`` names the process that was told."""


class SharedReload:
    """Follows the reloads of other processes."""

    seconds = 1.0
    """Between two looks."""
    pause = 10.0
    """Seconds after which an index that could not be opened is tried again."""

    def __init__(self, current: CurrentIndex, database: AppDatabase) -> None:
        """``database`` was opened before the index."""
        self._current = current
        self._audit = database.audit
        self._process = database.presence.name
        self._seen = database.entries_at_open
        self._thread = CapacityLimiter(1)  # all others may be waiting for the database

    async def run(self) -> None:
        """Follow until cancelled."""
        told = failed = False
        while True:
            await anyio.sleep(self.pause if failed else self.seconds)
            try:
                told = await run_sync(self._look, limiter=self._thread) or told
                if told:
                    await self._current.reload()
                    logger.info("index opened again, as another process did")
                told = failed = False
            except Exception as error:
                if not failed:
                    log_failure("the reload of another process cannot be followed", error)
                failed = True

    def _look(self) -> bool:
        """Return whether another process was told to reload since the last look."""
        told = False
        for entry in self._audit.after(self._seen):
            self._seen = entry.number
            by_another = entry.details.get("process") != self._process
            told = told or (entry.action == RELOADED and by_another)
        return told
