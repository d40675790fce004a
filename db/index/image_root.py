"""Paths of images relative to a recorded folder, so that an index can be copied with its images.

    root = common_root([Path("/data/mine/a/1.png"), Path("/data/mine/b/2.png")])   # /data/mine
    stored_path("/data/mine/a/1.png", root)           # ./a/1.png
    full_path("./a/1.png", Path("/srv/mine"))         # /srv/mine/a/1.png

The manifest of an index records the root. A stored path that does not begin with ``./`` is used as
it is: one outside the root, or the bare file name of an image that was never on this machine. The
service sends no image that `is_below` none of its roots, because an index may be a stranger's.
"""

import os
from collections.abc import Iterable
from pathlib import Path

RELATIVE = "./"


def common_root(folders: Iterable[Path]) -> Path | None:
    """Return the deepest folder that contains all absolute ``folders``; None if only ``/`` does."""
    listed = [str(folder) for folder in folders]
    if not listed:
        return None
    try:
        root = Path(os.path.commonpath(listed))
    except ValueError:  # two drives
        return None
    return None if root == root.parent else root


def stored_path(path: str | None, root: Path | None) -> str | None:
    if path is None or root is None or not Path(path).is_relative_to(root):
        return path
    return RELATIVE + Path(path).relative_to(root).as_posix()


def full_path(stored: str | None, root: Path | None) -> str | None:
    if stored is None or root is None or not stored.startswith(RELATIVE):
        return stored
    return str(root / stored.removeprefix(RELATIVE))


def is_below(path: Path, roots: Iterable[Path]) -> bool:
    """Return whether an absolute path leads into one of the folders, of which ``/`` is none.

    Steps upwards (``..``) are resolved. Links are not: whoever owns this machine made them.
    """
    whole = Path(os.path.normpath(path))
    folders = [Path(os.path.normpath(root)) for root in roots if root.is_absolute()]
    return any(root != root.parent and whole.is_relative_to(root) for root in folders)
