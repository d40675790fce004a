"""Find the images that a table names, wherever the table was written.

    paths = ImagePaths(cells, folder=Path("export"))
    paths.find("D:\\\\PACS\\\\bilder\\\\1.png")            # export/bilder/1.png

A table may come from another machine (absolute and Windows paths), stand beside the folder that its
paths are relative to, or name images without their ending. Which rule fits is learnt once, from the
first paths of the table, so that every image is looked up in the same place.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PureWindowsPath

IMAGE_ENDINGS = frozenset(
    ".png .jpg .jpeg .jpe .dcm .dicom .tif .tiff .bmp .webp .gif .jp2 .j2k .jpf .pgm .pnm".split()
)
_TRIED_ENDINGS = (".png", ".jpg", ".jpeg", ".dcm", ".tif")
_SAMPLE = 60
_FEWEST = 0.05
"""Share of the sample that a rule must find; less is chance."""
_MOST_FOLDERS = 200
_DEPTH = 3
_DRIVE = re.compile(r"(?:file:/*(?=[A-Za-z]:|/)|[A-Za-z]:|\\\\)")
_SEPARATORS = re.compile(r"\s*[;|,\n]\s*")


@dataclass(frozen=True, kw_only=True)
class _Rule:
    base: Path
    dropped: int = 0
    """Leading folders of a path that do not exist here."""
    ending: str = ""

    def path(self, cell: str) -> Path | None:
        parts = path_parts(cell)[self.dropped :]
        return self.base.joinpath(*parts[:-1], parts[-1] + self.ending) if parts else None


class ImagePaths:
    """The rule by which the image paths of one table are found."""

    def __init__(
        self, cells: Iterable[str], *, folder: Path, images_dir: Path | None = None
    ) -> None:
        """``cells`` are some image paths of the table, ``folder`` is where the table is,
        ``images_dir`` where the images are, if the user says so."""
        self._folder = folder
        self._rule = _Rule(base=images_dir or folder)
        sample = list(islice(dict.fromkeys(filter(None, cells)), _SAMPLE))
        self.found = sum((folder / cell).is_file() for cell in sample)
        self.looked_up = len(sample)
        if not sample or self.found == len(sample):
            return
        bases = [folder] if images_dir is None else [images_dir, *_folders_in(images_dir), folder]
        if images_dir is None:
            bases += [*_folders_in(folder), *islice(folder.absolute().parents, 2)]
        for rule in _rules(sample, bases):
            files = [path for path in map(rule.path, sample) if path is not None and path.is_file()]
            if len(files) > max(self.found, _FEWEST * len(sample)) and len(set(files)) == len(
                files
            ):
                self._rule, self.found = rule, len(files)

    @property
    def base(self) -> Path:
        """The folder that paths are relative to."""
        return self._rule.base

    def find(self, cell: str) -> Path:
        """Return the path of an image, which need not exist."""
        plain = self._folder / cell
        if not _DRIVE.match(cell) and plain.is_file():
            return plain
        return self._rule.path(cell) or plain


def split_cell(cell: str) -> list[str]:
    """Split a cell that names several images: ``a.png;b.png``, or a list as Python prints it."""
    if cell.startswith("[") and cell.endswith("]"):
        try:
            listed = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [cell]
        if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
            return listed
    parts = [part for part in _SEPARATORS.split(cell) if part]
    if len(parts) > 1 and all(has_image_ending(part) for part in parts):
        return parts
    return [cell]


def has_image_ending(path: str) -> bool:
    name = path_parts(path)[-1:] or [""]
    return Path(name[0].lower().removesuffix(".gz")).suffix in IMAGE_ENDINGS


def path_parts(cell: str) -> list[str]:
    """Split a path of any system into folders and file name, without drive and root."""
    cell = cell.strip().strip("\"'").removeprefix("file://")
    if "\\" in cell or _DRIVE.match(cell):
        windows = PureWindowsPath(cell)
        parts = windows.parts[1:] if windows.anchor else windows.parts
        if windows.drive.startswith("\\\\"):  # the share is a folder like any other
            parts = (*windows.drive.strip("\\").split("\\"), *parts)
        return list(parts)
    return [part for part in cell.split("/") if part not in ("", ".")]


def _rules(sample: list[str], bases: list[Path]) -> Iterator[_Rule]:
    """Yield the rules under which at least one of the first paths exists, the plainest first."""
    for cell in sample[:5] + sample[-5:]:
        parts = path_parts(cell)
        for dropped in range(len(parts)):
            for base in bases:
                endings = ("",) if has_image_ending(cell) else ("", *_TRIED_ENDINGS)
                for ending in endings:
                    rule = _Rule(base=base, dropped=dropped, ending=ending)
                    path = rule.path(cell)
                    if path is not None and path.is_file():
                        yield rule


def _folders_in(folder: Path) -> list[Path]:
    """List the folders below ``folder``, the upper ones first; 200 at most."""
    found: list[Path] = []
    level = [folder]
    for _ in range(_DEPTH):
        below: list[Path] = []
        for one in level:
            try:
                below += sorted(
                    path
                    for path in one.iterdir()
                    if path.is_dir() and not path.name.startswith(".")
                )
            except OSError:
                continue
            if len(found) + len(below) > _MOST_FOLDERS:
                break
        found += below
        level = below
        if len(found) > _MOST_FOLDERS:
            break
    return found[:_MOST_FOLDERS]
