"""The versions of an index, in one directory.

    data/index/
      manifest.json                    of the current version, with the folder of its files
      versions/2-4f21c09ab3de/         manifest.json, case_ids.npy, case_vectors.npy, ...
      versions/1-99ab01c6527f/         the previous version; opens like an index
      .building/                       unfinished work
      .lock

A version never changes. A new one is prepared beside the others, moved into place as a whole, and
becomes current when one file is renamed, so a reader opens either the old or the new version.
Format 1 kept its files in the directory itself; the first change moves them into ``versions``.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from db.errors import UserError
from db.files import locked, remove_scraps, sync_directory, write_text
from indexer.manifest import FOLDER, MANIFEST, Manifest, read_values

KEPT = 2
"""Number of versions to keep by default, including the current one."""

BUILDING = ".building"
_LOCK = ".lock"
_VERSIONS = "versions"
_FORMAT_1 = ("vectors.faiss", "cases.sqlite", "film_vectors.npy", "film_profile.safetensors")


def current_folder(index_dir: Path) -> Path:
    """Return the folder of the current version.

    For an index of format 1, or the folder of a version, that is the directory itself. Raises
    NotFoundError if there is no index and UserError if its manifest is damaged.
    """
    folder = read_values(index_dir).get(FOLDER)
    if folder is None:
        return index_dir
    named = Path(os.path.normpath(str(folder)))
    if named.is_absolute() or named.parts[:1] in ((), ("..",)):  # of a stranger's index
        raise UserError(
            f"{index_dir / MANIFEST} names a folder outside the index ({folder}): build the index "
            "again"
        )
    return index_dir / named


def index_root(folder: Path) -> Path:
    """Return the index directory that a folder, as `current_folder` returns it, belongs to."""
    return folder.parent.parent if folder.parent.name == _VERSIONS else folder


@contextmanager
def changing(index_dir: Path, work: str, *, cure: str) -> Iterator["Versions"]:
    """Lock an index for changes, and first complete or discard what a kill left unfinished.

    Raises UserError if another process holds the lock, or if the directory cannot be written; the
    latter message ends with ``cure``.
    """
    try:
        index_dir.mkdir(parents=True, exist_ok=True)
        with locked(index_dir / _LOCK, f"{work} {index_dir}"):
            versions = Versions(index_dir)
            versions.recover()
            yield versions
    except OSError as error:
        raise UserError(
            f"{index_dir} cannot be written ({error.strerror or error}): {cure}"
        ) from error


class Versions:
    """The kept versions of one index directory."""

    def __init__(self, index_dir: Path) -> None:
        self.index_dir = index_dir
        self.building = index_dir / BUILDING
        self._folders = index_dir / _VERSIONS

    def current(self) -> Path | None:
        """Return the folder of the current version; None if there is no index yet.

        Raises UserError if the manifest is damaged.
        """
        if not (self.index_dir / MANIFEST).is_file():
            return None
        return current_folder(self.index_dir)

    def kept(self) -> dict[Path, Manifest]:
        """Map the folders of all complete versions to their manifests, oldest first."""
        found = {path: Manifest.read(path) for path in self._complete()}
        current = self.current()
        if current is not None and current not in found:
            found[current] = Manifest.read(current)
        return dict(sorted(found.items(), key=lambda item: item[1].version))

    def recover(self) -> None:
        """Recover from a kill: make a complete new version current and remove leftovers."""
        remove_scraps(self.index_dir / MANIFEST)
        whole = self._complete()
        for folder in self._all():
            if folder not in whole:
                shutil.rmtree(folder)
        number = self.number()
        for folder in whole:
            manifest = Manifest.read(folder)
            if manifest.version > number:
                self.commit(folder, manifest)
                number = manifest.version
        self._remove_format_1()

    def number(self) -> int:
        """Return the number of the current version; 0 if there is none or it is unreadable."""
        try:
            current = self.current()
            return 0 if current is None else Manifest.read(current).version
        except UserError:
            return 0

    def publish(self, draft: Path, manifest: Manifest, *, keep: int = KEPT) -> Path:
        """Make ``draft``, with this manifest, the current version and return its new folder.

        At most ``keep`` versions are kept, including this one.
        """
        folder = self.place(draft, manifest)
        if keep > 1:
            self._adopt_format_1()
        self.commit(folder, manifest)
        self._remove_format_1()
        self.prune(keep)
        shutil.rmtree(self.building, ignore_errors=True)
        return folder

    def prune(self, keep: int) -> None:
        """Delete all but the newest ``keep`` versions; the current one always stays."""
        for old in list(self.kept())[: -max(keep, 1)]:
            self.drop(old)

    def place(self, draft: Path, manifest: Manifest) -> Path:
        """Move a draft, with its manifest, among the versions without making it current."""
        manifest.write(draft)
        sync_directory(draft)
        self._folders.mkdir(exist_ok=True)
        folder = self._folders / f"{manifest.version}-{manifest.fingerprint[:12]}"
        if folder.exists():
            self.drop(folder)
        draft.rename(folder)
        return folder

    def drop(self, folder: Path) -> None:
        """Delete a version, its manifest first, so that leftovers are recognised as incomplete."""
        (folder / MANIFEST).unlink()
        shutil.rmtree(folder)

    def commit(self, folder: Path, manifest: Manifest) -> None:
        """Make the version in ``folder`` current, with this manifest."""
        text = manifest.text(**{FOLDER: folder.relative_to(self.index_dir).as_posix()})
        write_text(self.index_dir / MANIFEST, text)

    def _all(self) -> list[Path]:
        return sorted(self._folders.iterdir()) if self._folders.is_dir() else []

    def _complete(self) -> list[Path]:
        return [folder for folder in self._all() if (folder / MANIFEST).is_file()]

    def _adopt_format_1(self) -> None:
        """Link the files of a format 1 index into the folder of a version."""
        if self.number() == 0 or self.current() != self.index_dir:
            return
        manifest = Manifest.read(self.index_dir)
        folder = self._folders / f"{manifest.version}-{manifest.fingerprint[:12]}"
        folder.mkdir(exist_ok=True)
        for name in [*manifest.file_bytes, MANIFEST]:
            with suppress(FileExistsError):
                _link(self.index_dir / name, folder / name)

    def _remove_format_1(self) -> None:
        if self.number() and self.current() != self.index_dir:
            for name in _FORMAT_1:
                (self.index_dir / name).unlink(missing_ok=True)


def _link(old: Path, new: Path) -> None:
    try:
        new.hardlink_to(old)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        shutil.copyfile(old, new)
