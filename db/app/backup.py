"""Back up a SQLite application database, and restore it.

back_up(Path("data/app.sqlite3"), Path("backup.sqlite3"))       # works while in use
restore(Path("backup.sqlite3"), Path("data/app.sqlite3"), at=now)

A PostgreSQL database is backed up by its own tools.
"""

import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from db.app.audit_log import DELETED, ERASED, NewEntry
from db.app.database import AppDatabase
from db.engines.database_file import LOG_SUFFIXES, remove
from db.engines.engine import held
from db.engines.location import Location, shown
from db.errors import NotFoundError, UserError
from db.files import create_private, replacing, unwritable


def back_up(path: Location, to: Path) -> None:
    """Copy a consistent snapshot, even while a server writes.

    Raises NotFoundError if the database is missing, and UserError if ``to`` exists, a file is
    damaged, or the database is no file.
    """
    path = _file(path, "pg_dump")
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


def restore(backup: Path, path: Location, *, at: datetime) -> Restored:
    """Replace the application database with a backup; no server may be using it.

    The old database is kept beside it. What its audit log says was deleted since is deleted from
    the new one as well, and keys that were revoked since are revoked. The backup is checked first:
    pages, schema and audit log. Raises UserError, and changes nothing, if the backup is damaged or
    of a newer version, or if the database is in use.
    """
    path = _file(path, "pg_restore")
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
            remove(fresh)
            raise
        if path.exists():
            kept = path.with_name(f"{path.name}.before-restore")
            remove(kept)
            _copy(path, kept)
            done = replace(done, kept=kept)
        for suffix in LOG_SUFFIXES:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        fresh.replace(path)
        return done


def _file(location: Location, tool: str) -> Path:
    if isinstance(location, Path):
        return location
    raise UserError(
        f"{shown(location)} is no file: use {tool}, as docs/files.md shows, or copy it to a file "
        "with 'grounded-cxr db copy'"
    )


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
