"""Enter reads and refused keys into the audit log, without making them wait for the disk.

    audit.add("case read", caller.name, case="openi:12")

Entries wait in memory and are written together, a second later and when the server stops. If the
process is killed, the entries of its last seconds are lost. What changes the database never waits
here: it is entered by the transaction that changes it.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from api.middleware.observability import request_id
from db.app.audit_log import AuditLog, NewEntry
from db.engines.engine import DatabaseFailure
from db.errors import UnavailableError

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""The caller in an entry on a key that never was one of ours."""
MOST_REFUSALS = 1_000
"""Refusals that one batch tells apart, so that nobody fills the log by guessing keys."""
SECONDS = 1.0
"""Between two batches."""
LOCK_SECONDS = 5.0
"""Lock timeout of a batch."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Which key was refused, where and why."""

    caller: str = UNKNOWN
    """The name of the key."""
    reason: str
    route: str | None = None
    address: str | None = None
    """Of the client."""


_OTHERS = Refusal(reason="several")


class AuditQueue:
    """Audit entries that are not written yet; safe to use from several threads."""

    def __init__(
        self,
        log: AuditLog,
        clock: Callable[[], datetime],
        *,
        most: int = 10_000,
    ) -> None:
        """``most``: entries that may wait."""
        self._log = log
        self._clock = clock
        self._most = most
        self._entries: list[NewEntry] = []
        self._refused: dict[Refusal, tuple[NewEntry, int]] = {}
        self._guard = threading.Lock()
        self._one_batch = threading.Lock()

    def add(self, action: str, caller: str, **details: object) -> None:
        """Enter what is about to be shown to a caller, the name of a key.

        Raises UnavailableError if the log could not be written for so long that no more entries may
        wait: nothing is shown then.
        """
        entry = self._entry(action, caller, details)
        with self._guard:
            if len(self._entries) >= self._most:
                raise UnavailableError(
                    "the audit log cannot be written at present, so nothing can be shown: see the "
                    "log of the server",
                    retry_after=10,
                )
            self._entries.append(entry)

    def refuse(self, refusal: Refusal) -> None:
        """Enter a refused key; equal refusals of one batch become one entry with their number."""
        with self._guard:
            if refusal not in self._refused and len(self._refused) >= MOST_REFUSALS:
                refusal = _OTHERS
            details: dict[str, object] = {
                "reason": refusal.reason,
                "route": refusal.route,
                "address": refusal.address,
            }
            first = self._entry("key refused", refusal.caller, details)
            entry, times = self._refused.get(refusal, (first, 0))
            self._refused[refusal] = entry, times + 1

    def flush(self) -> None:
        """Write the entries that wait.

        Raises ``db.engines.engine.DatabaseFailure`` if they cannot be written; they wait on.
        """
        with self._one_batch:
            with self._guard:
                entries, self._entries = self._entries, []
                refused, self._refused = self._refused, {}
            entries += [
                replace(entry, details={**entry.details, "times": times})
                for entry, times in refused.values()
            ]
            if not entries:
                return
            try:
                self._log.append(*entries, lock_timeout=LOCK_SECONDS)
            except BaseException:
                with self._guard:
                    self._entries = entries + self._entries
                raise

    async def run(self) -> None:
        """Write a batch every few seconds, until cancelled."""
        thread, failed = CapacityLimiter(1), False  # others may all be waiting for the database
        while True:
            await anyio.sleep(SECONDS)
            try:
                await run_sync(self.flush, limiter=thread)
                failed = False
            except DatabaseFailure as error:
                if not failed:
                    logger.error("audit entries are waiting: %s", error)
                failed = True

    def close(self) -> None:
        """Write the entries that wait; log how many are lost if that fails."""
        try:
            self.flush()
        except DatabaseFailure as error:
            logger.error("%d audit entries are lost: %s", len(self._entries), error)

    def _entry(self, action: str, caller: str, details: dict[str, object]) -> NewEntry:
        return NewEntry(
            at=self._clock(),
            caller=caller,
            action=action,
            details=details,
            request_id=request_id(),
        )
