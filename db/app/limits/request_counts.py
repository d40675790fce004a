"""Count the requests of each key and address together with other processes.

    counts = RequestCounts(engine)
    counts.count("key ward", seconds=60)    # Counted(requests=1, until=...)

A count begins with the first request and holds for so many seconds. It is one statement, so two
processes never count the same number.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, case, delete
from sqlalchemy.dialects import postgresql, sqlite

from db.app.models import RequestCountRow
from db.engines.engine import write_transaction

_LOCK_SECONDS = 2.0
"""Lock timeout of a count, for which a request waits."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The requests of one key or address so far."""

    requests: int
    """With this one."""
    until: float
    """Seconds since 1970, when counting begins anew."""


class RequestCounts:
    """The counts of one application database; safe to use from several threads."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def count(self, key: str, *, seconds: int) -> Counted:
        """Count one request. Raises sqlalchemy.exc.DatabaseError if that is not possible."""
        row, now = RequestCountRow, self._clock()
        is_over = row.until <= now
        first = {"key": key, "count": 1, "until": now + seconds}
        is_postgresql = self._engine.dialect.name == "postgresql"
        insert = postgresql.insert(row) if is_postgresql else sqlite.insert(row)
        counted = (
            insert.values(**first)
            .on_conflict_do_update(
                index_elements=[row.key],
                set_={
                    "count": case((is_over, 1), else_=row.count + 1),
                    "until": case((is_over, first["until"]), else_=row.until),
                },
            )
            .returning(row.count, row.until)
        )
        with write_transaction(self._engine, lock_timeout=_LOCK_SECONDS) as connection:
            requests, until = connection.execute(counted).one()
        return Counted(requests=requests, until=until)

    def prune(self) -> None:
        """Remove the counts that are over."""
        over = delete(RequestCountRow).where(RequestCountRow.until <= self._clock())
        with write_transaction(self._engine) as connection:
            connection.execute(over)
