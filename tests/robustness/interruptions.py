"""What may happen to a process and to its disk, for ``tests/robustness/index_durability.py``.

process = in_child(partial(counted_changes, work, 7))    # killed before its eighth change of files
with small_disk(Path("disk"), mount=True) as disk:
    disk.fill(draw)                                      # room for a part of what comes
"""

import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from db.errors import UserError

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree"}
"""Audit events of calls that change the file system; ``open`` only where it is for writing."""


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a process of its own; its id."""
    process = os.fork()
    if process:
        return process
    code = 0
    try:
        work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except BaseException as error:
        print(f"defect: {error!r}", file=sys.stderr)
        code = 2
    finally:
        sys.stderr.flush()
        os._exit(code)


def run(work: Callable[[], None]) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(in_child(work), 0)[1])


def counted_changes(work: Callable[[], None], kill_at: int | None = None) -> int:
    """Run ``work`` and count its calls that change the file system; die before one of them."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event not in CHANGES:
            return
        if event == "open" and not (len(arguments) > 1 and _writes(arguments[1])):
            return
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    sys.addaudithook(hook)
    work()
    return seen


def _writes(mode: object) -> bool:
    return isinstance(mode, str) and any(letter in mode for letter in "wax+")


class SmallDisk:
    """A file system of its own."""

    how = "tmpfs"

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, size: int) -> None:
        _mount("-o", f"remount,size={size}", str(self.path))

    def fill(self, draw: random.Random) -> None:
        """Leave room for a random part of what a verb writes."""
        used = sum(path.stat().st_blocks * 512 for path in self.path.rglob("*"))
        self.resize(used + draw.randrange(4_096, 300_000))

    def limited(self, work: Callable[[], None]) -> None:
        work()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        _mount("-o", "remount,ro", str(self.path))
        try:
            yield
        finally:
            _mount("-o", "remount,rw", str(self.path))

    def without_rights(self, work: Callable[[], None]) -> None:
        work()


class LimitedFolder(SmallDisk):
    """What stands in where mounting is not allowed."""

    how = "no right to mount: file size limit, folder without write permission"

    def resize(self, size: int) -> None:
        self._size = size

    def fill(self, draw: random.Random) -> None:
        self._size = draw.randrange(1_000, 60_000)

    def limited(self, work: Callable[[], None]) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, resource.RLIM_INFINITY))
        work()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        folders = [self.path, *(path for path in self.path.rglob("*") if path.is_dir())]
        for path in [*folders, *(path for path in self.path.rglob("*") if path.is_file())]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            yield
        finally:
            for path in [*folders, *(path for path in self.path.rglob("*") if path.is_file())]:
                path.chmod(0o755 if path.is_dir() else 0o644)

    def without_rights(self, work: Callable[[], None]) -> None:
        if os.geteuid() == 0:  # root is not held up by permissions
            os.setgid(65534)
            os.setuid(65534)
        work()


@contextmanager
def small_disk(path: Path, mount: bool) -> Iterator[SmallDisk]:
    path.mkdir(exist_ok=True)
    if (
        mount
        and os.geteuid() == 0
        and _mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)) == 0
    ):
        try:
            yield SmallDisk(path)
        finally:
            subprocess.run(["umount", str(path)], check=True)
        return
    path.chmod(0o755)
    yield LimitedFolder(path)


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], stderr=subprocess.DEVNULL, check=False).returncode
