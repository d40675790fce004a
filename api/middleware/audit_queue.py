"""Enter reads and refused keys into the audit log, without making them wait for the disk.

    audit.add("case read", caller.name, case="openi:12")

Entries wait in memory and are written together, a second later and when the server stops. If the
process is killed, the entries of its last seconds are lost. What changes the database never waits
here: it is entered by the transaction that changes it.

While a batch cannot be written, its entries wait for the next one, and the service is not ready.
"""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from api.background import repeat
from api.middleware.observability import request_id
from db.app.audit_log import AuditLog, NewEntry
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
_UNWRITABLE = (
    "the audit log cannot be written at present, so nothing can be shown: see the log of the server"
)


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
        self._failed = False
        self._guard = threading.Lock()
        self._one_batch = threading.Lock()

    def check(self) -> None:
        """Raise UnavailableError while the log cannot be written."""
        if self._failed:
            raise UnavailableError(_UNWRITABLE, retry_after=10)

    def add(self, action: str, caller: str, **details: object) -> None:
        """Enter what is about to be shown to a caller, the name of a key.

        Raises UnavailableError if the log could not be written for so long that no more entries may
        wait, and TypeError or ValueError for details that are not JSON: nothing is shown then.
        """
        entry = self._entry(action, caller, details)
        with self._guard:
            if len(self._entries) >= self._most:
                raise UnavailableError(_UNWRITABLE, retry_after=10)
            self._entries.append(entry)

    def refuse(self, refusal: Refusal) -> None:
        """Enter a refused key; equal refusals of one batch become one entry with their number."""
        with self._guard:
            self._count(refusal, self._entry("key refused", refusal.caller, _details(refusal)), 1)

    def flush(self) -> None:
        """Write the entries that wait. They wait on if that raises, and `check` does so too."""
        with self._one_batch:
            with self._guard:
                entries, self._entries = self._entries, []
                refused, self._refused = self._refused, {}
            try:
                self._write(entries, refused)
                self._failed = False
            except BaseException:
                self._failed = True
                with self._guard:
                    self._entries = entries + self._entries
                    self._refused, since = refused, self._refused
                    for refusal, (entry, times) in since.items():
                        self._count(refusal, entry, times)
                raise

    async def run(self) -> None:
        """Write a batch every second, until cancelled."""
        await repeat(self.flush, seconds=SECONDS, failing="audit entries are waiting")

    def close(self) -> None:
        """Write the entries that wait; log how many are lost if that fails."""
        try:
            self.flush()
        except Exception as error:
            lost = len(self._entries) + len(self._refused)
            logger.error("%d audit entries are lost", lost, exc_info=error)

    def _write(self, entries: list[NewEntry], refused: dict[Refusal, tuple[NewEntry, int]]) -> None:
        batch = entries + [
            replace(entry, details={**entry.details, "times": times})
            for entry, times in refused.values()
        ]
        if batch:
            self._log.append(*batch, lock_timeout=LOCK_SECONDS)

    def _count(self, refusal: Refusal, entry: NewEntry, times: int) -> None:
        """Add to a refusal that waits; those above the limit are counted together."""
        if refusal not in self._refused and len(self._refused) >= MOST_REFUSALS:
            refusal, entry = _OTHERS, replace(entry, caller=UNKNOWN, details=_details(_OTHERS))
        first, before = self._refused.get(refusal, (entry, 0))
        self._refused[refusal] = first, before + times

    def _entry(self, action: str, caller: str, details: dict[str, object]) -> NewEntry:
        json.dumps(details, ensure_ascii=False).encode()  # one that cannot be stored holds up all
        return NewEntry(
            at=self._clock(),
            caller=caller,
            action=action,
            details=details,
            request_id=request_id(),
        )


def _details(refusal: Refusal) -> dict[str, object]:
    return {"reason": refusal.reason, "route": refusal.route, "address": refusal.address}
