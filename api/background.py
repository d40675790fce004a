"""Work that the service repeats in the background for as long as it runs."""

import logging
from collections.abc import Callable

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from db.engines.engine import DatabaseFailure, why_unusable
from db.errors import UserError

logger = logging.getLogger(__name__)


async def repeat(work: Callable[[], object], *, seconds: float, failing: str) -> None:
    """Call ``work`` every so many seconds, until cancelled.

    It runs in a thread of its own, because all others may be waiting for the database. No error
    ends it; the first of several in a row is logged as ``failing``, a defect with its traceback.
    """
    thread, failed = CapacityLimiter(1), False
    while True:
        await anyio.sleep(seconds)
        try:
            await run_sync(work, limiter=thread)
            failed = False
        except Exception as error:
            if not failed:
                log_failure(failing, error)
            failed = True


def log_failure(failing: str, error: Exception) -> None:
    """Log why something fails in one line, a defect with its traceback."""
    reason = why_unusable(error) if isinstance(error, DatabaseFailure) else None
    if isinstance(error, UserError):
        reason = str(error)
    defect = error if reason is None else None
    logger.error("%s: %s", failing, reason or "a defect", exc_info=defect)
