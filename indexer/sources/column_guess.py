"""Guess which column of a table holds what, from the names of columns and what is in them.

    guess = guess_columns(columns, rows, given={}, folder=Path("export"))
    guess.columns                   # {"image": "Bilddatei", "findings": "Befund", ...}
    guess.line()                    # "--columns image=Bilddatei,findings=Befund"

Columns that the user names, and those that have our names, are taken as they are. What the rest
holds is decided by content: paths of images are those that exist or end like one, reports are long
texts. A guess that could be wrong in two ways is refused, with a line to paste for each way.
"""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.labels import OBSERVATIONS
from indexer.sources.column_content import Column, is_prose, is_split, is_view
from indexer.sources.column_names import WEAK_STUDY_IDS, plain_name
from indexer.sources.image_paths import ImagePaths
from indexer.sources.study_values import KEYS

SAMPLE_ROWS = 400
_MOST_ROWS_A_STUDY = 12
_LABELS = frozenset(OBSERVATIONS)
_CONTENT = frozenset({"text", "findings", "impression", *OBSERVATIONS})
_BEFUND = frozenset({"befund", "befunde", "befundung"})
_ORDER = ("image", "images", "text", "findings", "impression", "indication", "comparison",
          "addendum", "study_id", "patient_id", "view_position", "split", "labels")  # fmt: skip
_TEXT_KEYS = ("findings", "impression", "indication", "comparison", "addendum")


@dataclass(frozen=True, kw_only=True)
class Guess:
    """Columns of a table by our keys."""

    columns: Mapping[str, str]
    guessed: tuple[str, ...]
    """Keys whose column has another name and was not named by the user."""
    unused: tuple[str, ...]
    """Columns that are not read."""

    def line(self) -> str:
        """Return the option that states the same."""
        return columns_line(self.columns)


def columns_line(columns: Mapping[str, str]) -> str:
    """Word a mapping as an option, ready for a shell."""
    pairs = ",".join(f"{key}={column}" for key, column in columns.items() if key != column)
    return f"--columns {shlex.quote(pairs)}"


class _Guesser:
    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], table: Path
    ) -> None:
        self._all = columns
        self._rows = rows
        self._table = table
        self.found: dict[str, str] = {}
        self.named: set[str] = set()

    def free(self) -> list[Column]:
        taken = set(self.found.values())
        return [column for column in self._all if column.name not in taken]

    def take(self, key: str, column: Column | None) -> None:
        if column is not None:
            self.found[key] = column.name

    def by_name(self, key: str, fits: Any) -> Column | None:
        """Return the free column with the strongest name for ``key`` whose content fits."""
        ranked = [
            (rank, column)
            for column in self.free()
            if (rank := column.rank(key)) is not None and fits(column)
        ]
        return min(ranked, key=lambda pair: pair[0])[1] if ranked else None

    def image(self, folder: Path, images_dir: Path | None) -> None:
        columns = self.free()
        held = [column for column in columns if column.holds_images]
        if held:
            named = [column for column in held if column.rank("image") is not None]
            self.choose("image", named or held, "hold images")
            return
        likely = [
            column
            for column in columns
            if column.image_paths() >= 0.5
            or (column.rank("image") is not None and column.is_id() and not column.is_text())
        ]
        exist = {
            column.name: ImagePaths(column.paths, folder=folder, images_dir=images_dir).found
            for column in likely
        }
        existing = [column for column in likely if exist[column.name]]
        ending = [column for column in likely if column.image_paths() >= 0.5]
        best = existing or ending or likely
        named = [column for column in best if column.rank("image") is not None]
        if len(named) > 1:  # dicom_id beside path: the one that names files, or the stronger name
            named.sort(key=lambda column: (-column.image_paths(), column.rank("image") or 0))
            if named[0].image_paths() > named[1].image_paths() or not existing:
                named = named[:1]
        self.choose("image", named or best, "hold paths of images")

    def texts(self, keys: Collection[str], *, by_content: bool) -> None:
        """Find the sections among ``keys``, and the report if neither section is there."""
        for key in _TEXT_KEYS:
            if key in keys:
                self.take(key, self.by_name(key, is_prose))
        if "text" not in keys or "findings" in self.found:
            return
        self.take("text", self.by_name("text", Column.is_text))
        if by_content and not {"text", "impression"} & self.found.keys():
            long = [column for column in self.free() if column.is_text()]
            self.choose("text", long, "hold long texts")

    def read_befund_as_report(self) -> None:
        """Take a German Befund without a Beurteilung as the whole report."""
        if "text" not in self.found and plain_name(self.found.get("findings", "")) in _BEFUND:
            self.found["text"] = self.found.pop("findings")

    def choose(self, key: str, columns: Sequence[Column], what: str) -> None:
        """Take the only column, or refuse the choice between several."""
        if len(columns) > 1:
            lines = "\n".join(
                f"  {columns_line({**self.found, key: column.name})}" for column in columns
            )
            names = " and ".join(f"'{column.name}'" for column in columns)
            raise UserError(f"{self._table}: {names} {what}; choose one with\n{lines}")
        self.take(key, columns[0] if columns else None)

    def study(self) -> None:
        column = self.by_name("study_id", lambda column: column.is_id() and self.groups(column))
        if column is not None and column.plain in WEAK_STUDY_IDS and self.differ(column):
            lines = "\n".join(
                f"  {columns_line({**self.found, 'study_id': name})}" for name in (column.name, "")
            )
            raise UserError(
                f"{self._table}: rows with the same '{column.name}' have different reports. If "
                "they are one study, use the first line, if each row is a study, the second:\n"
                f"{lines}"
            )
        self.take("study_id", column)

    def groups(self, column: Column) -> bool:
        """Whether the ids could be of studies, and not of a ward or a scanner."""
        return len(column.values) <= _MOST_ROWS_A_STUDY * len(set(column.values))

    def differ(self, column: Column) -> bool:
        """Whether rows with the same id have different reports."""
        texts: dict[str, set[str]] = {}
        keys = [self.found[key] for key in ("text", "findings", "impression") if key in self.found]
        for row in self._rows:
            text = "\n".join(str(row.get(key) or "").strip() for key in keys)
            texts.setdefault(str(row.get(column.name)), set()).add(text)
        return any(len(different) > 1 for different in texts.values())


def guess_columns(
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    given: Mapping[str, str],
    folder: Path,
    images_dir: Path | None = None,
    table: Path,
) -> Guess:
    """Guess the columns of a table from its first rows.

    ``given`` maps our keys to columns that the user named; an empty name is no column. Raises
    UserError, with lines to paste, where two columns could be meant.
    """
    guesser = _Guesser(
        [Column(name, (row.get(name) for row in rows)) for name in names], rows, table
    )
    observations = {plain_name(name): name for name in OBSERVATIONS}
    guesser.found = {key: column for key, column in given.items() if column}
    known = [*sorted(KEYS), *OBSERVATIONS]
    for key in known:
        if key in names and key not in given and key not in guesser.found:
            if f"{key} (2)" in names:
                raise UserError(
                    f"{table} has two columns '{key}': rename one, or choose with\n"
                    f"  {columns_line({key: f'{key} (2)'})}"
                )
            guesser.found[key] = key
    for column in guesser.free():
        name = observations.get(column.plain)
        if name is not None and name not in guesser.found and name not in given:
            guesser.take(name, column)
    open_keys = {key for key in KEYS if key not in guesser.found and key not in given}
    if open_keys >= {"image", "images"}:
        guesser.image(folder, images_dir)
    labelled = bool((_LABELS | {"labels"}) & guesser.found.keys())
    guesser.texts(open_keys, by_content=not labelled)
    if "findings" in open_keys and "impression" not in guesser.found:
        guesser.read_befund_as_report()
    if "study_id" in open_keys:
        guesser.study()
    if "patient_id" in open_keys:
        guesser.take("patient_id", guesser.by_name("patient_id", Column.is_id))
    if "view_position" in open_keys:
        guesser.take("view_position", guesser.by_name("view_position", is_view))
    if "split" in open_keys:
        guesser.take("split", guesser.by_name("split", is_split))
    if "labels" in open_keys and not _CONTENT & guesser.found.keys():
        guesser.take("labels", guesser.by_name("labels", lambda column: not column.is_text()))
    order = [key for key in _ORDER if key in guesser.found]
    order += [key for key in guesser.found if key not in _ORDER]
    found = {key: guesser.found[key] for key in order}
    return Guess(
        columns=found,
        guessed=tuple(key for key in found if key not in given and found[key] != key),
        unused=tuple(name for name in names if name not in found.values()),
    )
