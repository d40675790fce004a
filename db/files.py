"""Write files and directories atomically, and lock them against other writers.

    with replacing(path) as fresh:                  # a temporary file beside path
        fresh.write_text("whole")                   # replaces path when the block ends
    with replacing_directory(out_dir) as fresh: ...
    write_text(path, text); write_json(path, values)
    with writing(path): ...                         # a full disk is one sentence
    with locked(index_dir / ".lock", "adding to data/index"): ...

A block that ends with an exception leaves the old content and no temporary file. New content is
synced to disk before the rename, and the rename before the block ends, so a power cut leaves either
the old or the new content.
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


def json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield file and line, for messages, and the value of each line that is not empty.

    Raises UserError for a file that cannot be read, and with the line for what is no JSON.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # a text may hold other separators
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            place = f"{path}, line {number}"
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{place}: invalid JSON ({error})") from error
            yield place, value


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise UserError where a block cannot write ``path``: no space, no right, no such place.

    torch reports a full disk by a RuntimeError, and safetensors by an exception of its own.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError | RuntimeError) or type(error).__name__ == "SafetensorError":
            raise unwritable(path, error) from error
        raise


def unwritable(path: Path, error: Exception) -> UserError:
    """The error of a path that cannot be written."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return UserError(
        f"{path} cannot be written ({str(reason).splitlines()[0]}): make room or get the right to "
        "write there, or name another place"
    )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; the file written to it then replaces ``path``."""
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
    """Yield an empty directory beside ``path``, which then replaces ``path``."""
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


def create_private(path: Path) -> None:
    """Create an empty file that only its owner can read, with its folder; leave an existing one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def withdraw_from_others(path: Path) -> None:
    """Leave a file that everyone on the machine can use to its owner; keep all other rights."""
    with suppress(FileNotFoundError, PermissionError):  # the latter if another user owns it
        if path.stat().st_mode & 0o007:
            path.chmod(0o600)


def sync_directory(path: Path) -> None:
    """Sync a directory and everything below it to disk."""
    for child in path.iterdir():
        if child.is_dir():
            sync_directory(child)
        else:
            _sync(child)
    _sync(path)


def remove_scraps(path: Path) -> None:
    """Remove temporary files left by a killed `replacing` of ``path``; call this under a lock."""
    for scrap in path.parent.glob(f".{path.name}.*.tmp"):
        scrap.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open directories, and syncs renames itself
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as fresh:
        fresh.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, with line ends unchanged."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, values: Any) -> None:
    """Write JSON atomically, indented by two, with keys in their order and a final line end."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def parse_json(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError for what is none, or is nested too deeply to be read."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises UserError if the file is unreadable or holds anything else."""
    try:
        stored = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: download or create the folder again") from error
    if not isinstance(stored, dict):
        raise UserError(f"{path} is not a JSON object: download or create the folder again")
    return stored


@contextmanager
def locked(path: Path, work: str) -> Iterator[None]:
    """Hold the lock file ``path``; the lock is released when the process ends, in whatever way.

    ``work`` is shown to other processes: "process 4711 is at work: adding to data/index, since
    12:03 UTC". Raises UserError if another process or thread holds the lock.
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
