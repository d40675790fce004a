"""Files and directories that appear whole or not at all, and one writer at a time.

    with replacing(path) as fresh:                  # fresh is beside path
        fresh.write_text("whole")                   # path is replaced when the block ends
    with replacing_directory(out_dir) as fresh: ...
    write_text(path, text); write_json(path, values)
    with locked(index_dir / ".lock", "adding to data/index"): ...

A block that ends with an exception leaves what was there before, and nothing beside it. What
takes the place of a path is on the disk before it does, and the renaming itself is on the disk
when the block ends: a power cut leaves the old or the new.
"""

import datetime
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from db.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write a file to; it takes its place when the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield fresh
        _sync(fresh)
        fresh.replace(path)
        _sync(path.parent)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def replacing_directory(path: Path) -> Iterator[Path]:
    """An empty directory beside ``path``, which it replaces when the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        yield fresh
        sync_directory(fresh)
        if path.exists():
            path.rename(old)
        try:
            fresh.rename(path)
            _sync(path.parent)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def sync_directory(path: Path) -> None:
    """Have a directory and all files in and below it on the disk."""
    for child in path.iterdir():
        if child.is_dir():
            sync_directory(child)
        else:
            _sync(child)
    _sync(path)


def remove_scraps(path: Path) -> None:
    """Remove what a killed `replacing` of ``path`` left beside it; call it under a lock."""
    for scrap in path.parent.glob(f".{path.name}.*.tmp"):
        scrap.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no directory, and keeps names by itself
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as fresh:
        fresh.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """In UTF-8, with line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, values: Any) -> None:
    """Indented by two, with a line end; the keys keep their order."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Raises UserError for a file that cannot be read or is not a JSON object."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: fetch or make the folder again") from error
    if not isinstance(stored, dict):
        raise UserError(f"{path} is not a JSON object: fetch or make the folder again")
    return stored


@contextmanager
def locked(path: Path, work: str) -> Iterator[None]:
    """Hold the lock file ``path``; it falls with the process, however that ends.

    ``work`` is what another process is told: "process 4711 is at work: adding to data/index,
    since 12:03 UTC". Raises UserError if another process, or another thread, holds the lock.
    """
    about = path.with_name(path.name + ".holder")
    lock = FileLock(path, timeout=0, is_singleton=False)
    try:
        lock.acquire()
    except Timeout as error:
        holder = ""
        with suppress(OSError):
            holder = about.read_text(encoding="utf-8")[:500]
        raise UserError(f"{holder or 'another process'}: wait for it to end, or stop it") from error
    try:
        now = datetime.datetime.now(datetime.UTC)
        write_text(about, f"process {os.getpid()} is at work: {work}, since {now:%H:%M} UTC")
        yield
    finally:
        about.unlink(missing_ok=True)
        lock.release()
