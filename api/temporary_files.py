"""Temporary files of the service, in one folder that only its user can read.

    with temporary_files(Path("data/app.sqlite3.tmp")): ...

Uploads of more than a megabyte are written there, headers included, and so is what libraries and
child processes keep in files. The folder is emptied at the start and at the end: what a killed
server left is gone after the next start. A crash writes no memory to a core file.
"""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from db.errors import UserError
from db.files import unwritable

_VARIABLES = ("TMPDIR", "TEMP", "TMP")


@contextmanager
def temporary_files(folder: Path) -> Iterator[None]:
    """Keep the temporary files of this process and its children in ``folder`` while the block runs.

    No other process may use the folder. Raises UserError if it cannot be made, or belongs to
    another user.
    """
    folder = folder.parent.resolve() / folder.name  # a link at its end is refused below
    try:
        _prepare(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    with _used(folder), _no_core_files():
        try:
            yield
        finally:
            with suppress(OSError):  # the next start empties it
                _empty(folder)


@contextmanager
def _used(folder: Path) -> Iterator[None]:
    before, variables = tempfile.tempdir, {name: os.environ.get(name) for name in _VARIABLES}
    tempfile.tempdir = str(folder)
    os.environ.update(dict.fromkeys(_VARIABLES, str(folder)))
    try:
        yield
    finally:
        tempfile.tempdir = before
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _no_core_files() -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def _prepare(folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    mine = sys.platform == "win32" or found.st_uid == os.getuid()
    if not (stat.S_ISDIR(found.st_mode) and mine):
        raise UserError(
            f"{folder} is not a folder of this user, and temporary files belong there: remove it"
        )
    folder.chmod(0o700)
    _empty(folder)


def _empty(folder: Path) -> None:
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
