"""The directories that a run writes to, checked before it begins: free, writable, large enough.

check_resumable(out)                                    # with --resume
check_places(out, merge, base=base)                     # in the first second
check_space(out, files=[12_000_000, ...])
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from db.errors import TooLargeError, UserError
from db.files import unwritable


def check_resumable(out: Path) -> None:
    """Raises UserError where there is nothing to resume: a mistyped directory starts no new run."""
    if not (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out} holds no run to resume: leave --resume out to start one")


def check_places(out: Path, merge: Path | None, *, base: str, resume: bool) -> None:
    """Raises UserError where adapter or merged weights cannot be written, or would meet."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: name a directory with --out")
    held = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if held - {"run"} and not resume:
        raise UserError(f"{out} is not empty: add --resume to continue it, or name another")
    _check_writable(out)
    if merge is None:
        return
    if merge.exists() and (not merge.is_dir() or any(merge.iterdir())):
        raise UserError(f"{merge} is not empty: name another directory to merge into")
    one, other = out.resolve(), merge.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise UserError(
            f"{merge} and {out} are one directory, or one inside the other: merge into a directory "
            "of its own"
        )
    if other == Path(base).resolve():
        raise UserError(f"{merge} is the base model: name another directory to merge into")
    _check_writable(other)
    # it is written beside the directory, which it then replaces
    _check_writable(other.parent)


def check_space(directory: Path, files: Sequence[float]) -> None:
    """Raises TooLargeError where files of so many bytes do not fit on the disk, or one is larger
    than the system lets a process write."""
    free = shutil.disk_usage(_existing(directory)).free
    if sum(files) > free:
        raise TooLargeError(
            f"{directory} needs {sum(files) / 1e9:.2f} GB and its disk has {free / 1e9:.2f} GB "
            "free: make room, or name a place on another disk"
        )
    largest = _largest_file()
    if largest is not None and max(files) > largest:
        raise TooLargeError(
            f"{directory} needs a file of {max(files) / 1e6:.0f} MB and this process may write "
            f"{largest / 1e6:.0f} MB: raise the limit (ulimit -f)"
        )


def _check_writable(directory: Path) -> None:
    """Create a file where the directory is, or will be."""
    existing = _existing(directory)
    if not existing.is_dir():
        raise UserError(
            f"{directory} cannot be made, since {existing} is a file: name another directory"
        )
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        raise unwritable(directory, error) from error


def _existing(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    path = path.resolve()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _largest_file() -> int | None:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return None
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if limit == resource.RLIM_INFINITY else limit
