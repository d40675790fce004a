"""The application database: one SQLite file with everything that must outlive an index.

with AppDatabase.open(Path("data/app.sqlite3")) as database:    # created and migrated
    database.generations.add(generation)
back_up(Path("data/app.sqlite3"), Path("backup.sqlite3"))       # works while in use
restore(Path("backup.sqlite3"), Path("data/app.sqlite3"), at=now)
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import UUID

from filelock import FileLock, Timeout
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from db.app.api_keys import ApiKeyStore
from db.app.audit_log import DELETED, ERASED, AuditLog, NewEntry
from db.app.feedback import FeedbackStore
from db.app.generations import GenerationStore
from db.app.jobs import JobStore
from db.app.schema import migrate
from db.engines.sqlite import LOCK_TIMEOUT, empty_log, open_sqlite, write_transaction
from db.errors import NotFoundError, UnavailableError, UserError
from db.files import create_private, replacing, unwritable, withdraw_from_others

LEAST_FREE_BYTES = 16 * 1024 * 1024
"""Room for the images of one accepted study."""
_LOG_SUFFIXES = ("-wal", "-shm")
"""Of the files that SQLite keeps beside an open database, with its rights."""


class AppDatabase:
    """The stores of one application database; safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.generations = GenerationStore(engine)
        self.feedback = FeedbackStore(engine)
        self.keys = ApiKeyStore(engine)
        self.audit = AuditLog(engine)
        self.jobs = JobStore(engine)

    @classmethod
    def open(cls, path: Path, *, lock_timeout: float = LOCK_TIMEOUT) -> Self:
        """Open the application database; create or migrate it if necessary.

        ``lock_timeout`` (seconds) is how long a writer waits for others. Raises UserError for any
        other file, a database of a newer version, or a path that cannot be written.
        """
        path = path.resolve()
        try:
            create_private(path)
            engine = open_sqlite(
                path, read_only=False, write_ahead_log=True, lock_timeout=lock_timeout
            )
            migrate(engine, name=str(path))
            for suffix in ("", *_LOG_SUFFIXES):
                withdraw_from_others(path.with_name(path.name + suffix))
        except (DatabaseError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            raise UserError(
                f"{path} cannot be used as the application database ({reason}): "
                "name another file with --database"
            ) from error
        opened = cls(engine)
        opened.empty_log()  # what a killed process left
        return opened

    def check(self, *, lock_timeout: float | None = None) -> None:
        """Write something. Raises sqlalchemy.exc.DatabaseError if nothing can be stored at present,
        and UnavailableError if the disk has no room for more."""
        with write_transaction(self._engine, lock_timeout=lock_timeout) as connection:
            connection.exec_driver_sql("PRAGMA user_version = 0")  # writes a page, to no effect
        folder = Path(str(self._engine.url.database)).parent
        if shutil.disk_usage(folder).free < LEAST_FREE_BYTES:
            raise UnavailableError("the disk is full", retry_after=60)

    def empty_log(self) -> bool:
        """Truncate the write-ahead log, which keeps deleted rows; see `db.engines.sqlite`."""
        log = Path(f"{self._engine.url.database}{_LOG_SUFFIXES[0]}")
        return not log.exists() or log.stat().st_size == 0 or empty_log(self._engine)

    def close(self) -> None:
        self.empty_log()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Lock an application database for one server while the block runs.

    Raises UserError if another process holds the lock, or the folder cannot be written.
    """
    path = path.resolve()  # one lock, whatever link leads to the database
    lock = FileLock(path.with_name(f"{path.name}.lock"), timeout=0, is_singleton=False)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"{path} is in use by a running server: stop it, or name another with --database"
        ) from error
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield
    finally:
        lock.release()


def back_up(path: Path, to: Path) -> None:
    """Copy a consistent snapshot, even while a server writes.

    Raises NotFoundError if the database is missing, and UserError if ``to`` exists or a file is
    damaged.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist: name the application database")
    if to.exists():
        raise UserError(f"{to} already exists: name a new file for the backup")
    _copy(path, to)


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What a restore did."""

    kept: Path | None
    """Where the previous database is now, if there was one."""
    deleted: int = 0
    """Generations of the backup that had been deleted since, and are deleted again."""
    revoked: int = 0
    """Keys of the backup that had been revoked since, and are revoked again."""
    erased: bool = False
    """Whether a patient was erased since, whose words are back with the backup."""


def restore(backup: Path, path: Path, *, at: datetime) -> Restored:
    """Replace the application database with a backup; no server may be using it.

    The old database is kept beside it. What its audit log says was deleted since is deleted from
    the new one as well, and keys that were revoked since are revoked. The backup is checked first:
    pages, schema and audit log. Raises UserError, and changes nothing, if the backup is damaged or
    of a newer version, or if the database is in use.
    """
    if not backup.is_file():
        raise NotFoundError(f"{backup} does not exist: name a file that a backup wrote")
    path = path.resolve()  # replace the database, not a link to it
    with held(path):
        fresh = path.with_name(f"{path.name}.restoring")
        fresh.unlink(missing_ok=True)
        _copy(backup, fresh)
        try:
            with AppDatabase.open(fresh) as database:
                database.audit.verify()
                done = _repeat(database, path, at) if path.exists() else Restored(kept=None)
            with closing(sqlite3.connect(fresh)) as connection:  # a single file, without a log
                connection.execute("PRAGMA journal_mode = DELETE")
        except BaseException:
            _remove(fresh)
            raise
        if path.exists():
            kept = path.with_name(f"{path.name}.before-restore")
            _remove(kept)
            _copy(path, kept)
            done = replace(done, kept=kept)
        for suffix in _LOG_SUFFIXES:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        fresh.replace(path)
        return done


def _repeat(database: AppDatabase, before: Path, at: datetime) -> Restored:
    """Delete the generations and revoke the keys that the previous database deleted and revoked;
    none if it cannot be read."""
    query = "SELECT details FROM audit_entries WHERE action = ?"
    address = f"file:{before.resolve().as_posix()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            deletions = connection.execute(query, (DELETED,)).fetchall()
            (erasures,) = connection.execute(
                "SELECT count(*) FROM audit_entries WHERE action = ?", (ERASED,)
            ).fetchone()
            revoked = connection.execute(
                "SELECT id, name FROM api_keys WHERE revoked_at IS NOT NULL"
            ).fetchall()
    except sqlite3.Error:
        return Restored(kept=None)
    deleted = 0
    for (details,) in deletions:
        generation = str(json.loads(details)["generation"])
        entry = NewEntry(
            at=at, caller="restore", action=DELETED, details={"generation": generation}
        )
        with suppress(NotFoundError):
            database.generations.delete(UUID(generation), audit=entry)
            deleted += 1
    active = {(key.id, key.name) for key in database.keys.list_all() if key.revoked_at is None}
    again = sorted(active.intersection(revoked))
    for _, name in again:
        database.keys.revoke(name, at=at)
    known = sum(entry.action == ERASED for entry in database.audit)
    return Restored(kept=None, deleted=deleted, revoked=len(again), erased=erasures > known)


def _copy(path: Path, to: Path) -> None:
    """Copy with SQLite's backup function, check the copy, then rename it into place."""
    try:
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(to) as fresh:
            create_private(fresh)
            _copy_pages(path, fresh)
    except sqlite3.Error as error:
        raise UserError(f"{path} cannot be copied ({error}): name another file") from error
    except OSError as error:
        raise unwritable(to, error) from error


def _copy_pages(path: Path, to: Path) -> None:
    with (
        closing(sqlite3.connect(f"file:{path.resolve().as_posix()}?mode=ro", uri=True)) as one,
        closing(sqlite3.connect(to)) as other,
    ):
        one.backup(other)
        (found,) = other.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            raise UserError(f"{path} is damaged ({found}): use an older backup")
        if not other.execute("SELECT 1 FROM sqlite_master WHERE name = 'generations'").fetchone():
            raise UserError(f"{path} is not an application database: name another file")
        other.execute("PRAGMA journal_mode = DELETE")  # a single file, readable on any medium


def _remove(path: Path) -> None:
    for suffix in ("", *_LOG_SUFFIXES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
