"""A pool of connections whose exhaustion is an error of the database, as a lost server is.

create_engine(url, poolclass=BoundedPool, pool_size=8, max_overflow=10, pool_timeout=5.0)

SQLAlchemy raises a TimeoutError of its own, which nobody who handles databases that cannot be used
at present would expect.
"""

import sqlite3

from sqlalchemy import QueuePool
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry


class PoolExhaustedError(Exception):
    """All connections of this process are in use."""

    sqlstate = "53300"
    """too_many_connections of PostgreSQL."""
    sqlite_errorcode = sqlite3.SQLITE_BUSY


class BoundedPool(QueuePool):
    """Raises OperationalError if no connection becomes free in time."""

    def _do_get(self) -> ConnectionPoolEntry:
        try:
            return super()._do_get()
        except PoolTimeoutError as error:
            most = self.size() + self._max_overflow
            raise OperationalError(
                None, None, PoolExhaustedError(f"all {most} connections are in use")
            ) from error
