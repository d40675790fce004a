"""Whether requests can be served: asked by probes and proxies."""

import logging

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from api.middleware.audit_queue import AuditQueue
from api.pipeline.admission import Admission
from api.pipeline.current_index import CurrentIndex
from db.app.database import AppDatabase
from db.engines.engine import DatabaseFailure, why_unusable
from db.errors import UnavailableError

logger = logging.getLogger(__name__)


class Readiness:
    """One look at database, disk and index serves all who ask while it lasts, and a second more."""

    fresh_seconds = 1.0
    """For how long a good answer holds: a look writes to the disk, and everyone may ask."""
    lock_seconds = 2.0
    """Lock timeout of a look; shorter than that of a write, because probes time out sooner than
    clients."""

    def __init__(
        self,
        *,
        database: AppDatabase,
        audit: AuditQueue,
        current: CurrentIndex,
        admission: Admission,
    ) -> None:
        self._database = database
        self._audit = audit
        self._current = current
        self._admission = admission
        self._one_look = anyio.Lock()
        self._thread = CapacityLimiter(1)  # all others may be waiting for the database
        self._looked = -1.0
        self._reason: str | None = None

    async def check(self) -> None:
        """Raise UnavailableError while the server is busy, the database or the audit log cannot be
        written, or the index is damaged."""
        self._admission.check()
        asked = anyio.current_time()
        async with self._one_look:
            good_until = self._looked + (self.fresh_seconds if self._reason is None else 0)
            if self._looked < 0 or good_until < asked:
                self._reason = await run_sync(self._look, limiter=self._thread)
                self._looked = anyio.current_time()
        if self._reason is not None:
            raise UnavailableError(self._reason, retry_after=5)

    def _look(self) -> str | None:
        """Return what prevents requests from being served."""
        try:
            self._current.retriever.index.check_files()
            self._database.presence.check()
            self._database.check(lock_timeout=self.lock_seconds)
            self._audit.check()
        except UnavailableError as error:
            logger.warning("not ready: %s", error)
            return str(error)
        except DatabaseFailure as error:
            reason = why_unusable(error)
            if reason is None:
                raise
            logger.warning("not ready: the database cannot be written to: %s", reason)
            return f"the database cannot be written to at present: {reason}"
        return None
