"""Image files that a table names: which of them are there, and what is said where none is."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from db.errors import NotFoundError


class ImageFiles:
    """Finds image files in the folders where a data set may have been unpacked.

    A part of a data set is enough; only where not one named file is there is that an error.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = list(folders)
        self._found = 0
        self._first_missing: Path | None = None

    def find(self, names: Sequence[str]) -> Path | None:
        """The first file of these relative names; the folder that had the last one goes first."""
        for place, folder in enumerate(self._folders):
            for name in names:
                path = folder / name
                if path.is_file():
                    self._folders.insert(0, self._folders.pop(place))
                    self._found += 1
                    return path
        if self._first_missing is None:
            self._first_missing = self._folders[0] / names[0]
        return None

    def check(self, table: Path) -> None:
        """Raises NotFoundError where files were looked for and none was there."""
        if not self._found and self._first_missing is not None:
            raise NotFoundError(
                f"no image that {table.name} names is there: expected, for one, "
                f"{self._first_missing}"
            )
