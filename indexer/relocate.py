"""Tell an index where its images are now; nothing else in it changes.

    relocate(Path("data/mine"), Path("/srv/xrays"))

Paths of images are stored relative to a root, which the manifest of each version records, so an
index can be copied to another place or machine together with its images.
"""

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from db.errors import UserError
from db.files import write_text
from indexer.index import Index
from indexer.manifest import MANIFEST, Manifest
from indexer.upgrade import upgrade
from indexer.versions import Versions, changing

_CURE = "free some space or mount it writable, then run the same command again"
_SAMPLE = 200


@dataclass(frozen=True, kw_only=True)
class Relocation:
    """The result of a relocation."""

    root: Path
    """The folder that image paths are relative to now."""
    before: str
    images: int
    missing: int
    """Images of the current version that are not below the root."""
    versions: tuple[int, ...]
    """Numbers of the versions that were changed."""


def relocate(index_dir: Path, root: Path) -> Relocation:
    """Record ``root`` as the folder of the images in every kept version.

    ``root`` may also be a folder above it that has the same layout as before. An index of an older
    format, whose paths are absolute, is upgraded first. Raises UserError if no image is found
    there, the index has no paths, another process is changing it, or it cannot be written.
    """
    upgrade(index_dir)
    manifest = Manifest.read(index_dir)
    if manifest.image_root is None:
        raise UserError(
            f"{index_dir} has no paths of images below one folder, so there is none to replace: "
            "build the index again from the images"
        )
    root = _find(index_dir, manifest.image_root, root.absolute())
    with changing(index_dir, "relocating", cure=_CURE) as versions:
        changed = _record(versions, manifest.image_root, str(root))
    images, missing = _count(index_dir)
    return Relocation(
        root=root, before=manifest.image_root, images=images, missing=missing, versions=changed
    )


def _find(index_dir: Path, before: str, root: Path) -> Path:
    """Return the folder, ``root`` or one below it, in which the images are."""
    index = Index.open(index_dir)
    try:
        paths = [
            Path(image.path).relative_to(before)
            for case in islice(index.cases, _SAMPLE)
            for image in case.images
            if image.path is not None and Path(image.path).is_relative_to(before)
        ]
    finally:
        index.close()
    parts = Path(before).parts
    for start in range(len(parts), 0, -1):
        candidate = root.joinpath(*parts[start:])
        if any((candidate / path).is_file() for path in paths):
            return candidate
    expected = root / paths[0] if paths else root
    raise UserError(
        f"{root} holds none of the images: expected, for example, {expected}; the images were in "
        f"{before}"
    )


def _record(versions: Versions, before: str, root: str) -> tuple[int, ...]:
    """Write the root into the manifests of all versions that had the same one."""
    current = versions.current()
    changed = []
    for folder, manifest in versions.kept().items():
        if manifest.image_root != before:
            continue
        moved = replace(manifest, image_root=root)
        write_text(folder / MANIFEST, moved.text())
        if folder == current:
            versions.commit(folder, moved)
        changed.append(manifest.version)
    return tuple(changed)


def _count(index_dir: Path) -> tuple[int, int]:
    index = Index.open(index_dir)
    try:
        found = [
            Path(image.path).is_file()
            for case in index.cases
            for image in case.images
            if image.path is not None
        ]
    finally:
        index.close()
    return len(found), found.count(False)
