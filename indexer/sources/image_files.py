"""Find the image files that a table names, and report an error if there are none."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from db.errors import NotFoundError


class ImageFiles:
    """Finds image files in the folders where a data set may have been unpacked.

    Part of a data set is enough; it is an error only if none of the named files exists.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = list(folders)
        self._found = 0
        self._first_missing: Path | None = None

    def find(self, names: Sequence[str]) -> Path | None:
        """Return the first of these relative names that exists; the last folder is tried first."""
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
        """Raise NotFoundError if files were looked for and none was found."""
        if not self._found and self._first_missing is not None:
            raise NotFoundError(
                f"none of the images that {table.name} names was found: expected, for example, "
                f"{self._first_missing}"
            )
