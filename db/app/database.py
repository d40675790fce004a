"""The application database: everything that must outlive an index, in a SQLite file or PostgreSQL.

with AppDatabase.open(Path("data/app.sqlite3")) as database:    # created and migrated
    database.generations.add(generation)
"""

from pathlib import Path
from typing import Self

from sqlalchemy import Engine

from db.app.api_keys import ApiKeyStore
from db.app.audit_log import AuditLog
from db.app.feedback import FeedbackStore
from db.app.generations import GenerationStore
from db.app.jobs.store import JobStore
from db.app.schema import migrate
from db.engines.engine import check_writable, empty_log, exists, prepared
from db.engines.location import Location, shown
from db.engines.presence import Presence
from db.engines.sqlite import LOCK_TIMEOUT
from db.errors import NotFoundError


class AppDatabase:
    """The stores of one application database; safe to use from several threads."""

    def __init__(self, engine: Engine, presence: Presence | None = None) -> None:
        self.engine = engine
        self.presence = presence or Presence()
        self.generations = GenerationStore(engine)
        self.feedback = FeedbackStore(engine)
        self.keys = ApiKeyStore(engine)
        self.audit = AuditLog(engine)
        self.entries_at_open = 0
        """Of the audit log; what other processes did is in those after it."""
        self.jobs = JobStore(engine, process=self.presence.name)

    @classmethod
    def open(
        cls,
        location: Location,
        *,
        lock_timeout: float = LOCK_TIMEOUT,
        presence: Presence | None = None,
    ) -> Self:
        """Open the application database; create or migrate it if necessary.

        ``lock_timeout`` (seconds) is how long a writer waits for others. ``presence`` is needed to
        work on jobs beside other processes. Raises UserError for any other file, a database of a
        newer version, or one that cannot be reached or written.
        """
        if isinstance(location, Path):
            location = location.resolve()
        with prepared(location, lock_timeout=lock_timeout) as engine:
            migrate(engine, name=shown(location))
            if presence is not None:
                presence.use_tables()
                migrate(engine, name=shown(location))  # refuses what another did in between
        opened = cls(engine, presence)
        opened.empty_log()  # what a killed process left
        opened.entries_at_open = opened.audit.last_number()
        return opened

    @classmethod
    def open_existing(cls, location: Location) -> Self:
        """Open the application database, and migrate it if necessary.

        Raises as `open` does, and NotFoundError where that would create it.
        """
        if not exists(location):
            raise NotFoundError(f"{shown(location)} does not exist: name the application database")
        return cls.open(location)

    def check(self, *, lock_timeout: float | None = None) -> None:
        """Write something. Raises sqlalchemy.exc.DatabaseError if nothing can be stored at present,
        and UnavailableError if the disk has no room for more."""
        check_writable(self.engine, lock_timeout=lock_timeout)

    def empty_log(self) -> bool:
        """Empty the write-ahead log, which keeps deleted rows; see `db.engines.engine`."""
        return empty_log(self.engine)

    def close(self) -> None:
        self.empty_log()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
