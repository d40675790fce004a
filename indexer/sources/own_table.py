"""Your own studies from a CSV or Parquet file, or a folder of Parquet files; one row per image.

    study_id,patient_id,image,view_position,findings,impression,split,Cardiomegaly,Edema
    s1,p1,s1/pa.png,PA,"The heart is large.",Cardiomegaly.,train,1,-1

``image`` and one of ``text``, ``findings``, ``impression`` or an observation are required. Columns
with other names are guessed (`indexer.sources.column_guess`), or mapped with ``--columns
image=File,text=Report``; unknown columns are ignored. Rows with the same study_id form one study:
images of all rows are used, different texts are joined (a report and its addendum), and labels are
merged, positive over uncertain over negative; equal rows count once. Without study_id each row is a
study, named ``row-1`` and so on. Images are looked for beside the file and in the folders around it
(`indexer.sources.image_paths`), or in ``--images-dir``.

Labels: optional columns for the 14 observations, with 1 or positive, 0 or negative, -1 or
uncertain; an empty cell is unmentioned. A Parquet file may hold images as bytes (as on Hugging
Face); they are written to ``--images-dir``. The licence is the user's own. Known noise: see
``indexer.sources.csv_rows`` for what is accepted as CSV.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

from db.errors import NotFoundError
from indexer.sources.column_guess import SAMPLE_ROWS, guess_columns
from indexer.sources.image_bytes import ImageStore
from indexer.sources.image_paths import ImagePaths, split_cell
from indexer.sources.records import Record, RowCounts, check_identifier
from indexer.sources.split_choice import SplitChoice
from indexer.sources.table_studies import RowOptions, TableStudies, check_given
from indexer.sources.tables import Row, read_table


class TableReader(Protocol):
    """Reads a table, as `indexer.sources.tables.read_table` does."""

    def __call__(self, path: Path, *, head: bool = False) -> Iterator[tuple[str, Row]]:
        """Yield each row with its place; with ``head`` one of empty cells first."""
        ...


class OwnTable:
    """Studies from one or more tables with the same columns."""

    licence = "the owner's"

    def __init__(
        self,
        path: Path,
        *,
        name: str = "local",
        columns: Mapping[str, str] | None = None,
        images_dir: Path | None = None,
        choice: SplitChoice | None = None,
        reader: TableReader = read_table,
    ) -> None:
        """``columns`` maps our column names to those of the file; an empty name is no column.
        ``reader`` reads a file of another format.

        Raises NotFoundError if there is no table, and UserError if it cannot be read or a guess of
        its columns could be wrong.
        """
        self.name = check_identifier(name, "source name")
        choice = choice or SplitChoice()
        self.split = choice.name
        self._paths = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not self._paths or not self._paths[0].is_file():
            raise NotFoundError(
                f"{path} is not a table: --data-dir names a CSV or Parquet file, or a folder of "
                "Parquet files"
            )
        self._reader = reader
        folder = path if path.is_dir() else path.parent
        given = dict(columns or {})
        names, rows = self._first_rows()
        check_given(names, given, str(self._paths[0]))
        self._guess = guess_columns(
            names, rows, given=given, folder=folder, images_dir=images_dir, table=self._paths[0]
        )
        self._images = ImagePaths(
            self._image_cells(rows), folder=folder.absolute(), images_dir=images_dir
        )
        self._folder = folder
        self._studies = TableStudies(
            self._read,
            RowOptions(
                columns={**given, **self._guess.columns},
                images=ImageStore(images_dir),
                folder=folder,
                choice=choice,
                paths=self._images,
            ),
        )

    def records(self) -> Iterator[Record]:
        return self._studies.records()

    @property
    def rows(self) -> RowCounts | None:
        """Counts of rows; None before the first reading is complete."""
        return self._studies.rows

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was guessed, for the user to check."""
        lines = []
        if self._guess.guessed:
            pairs = ", ".join(f"{key} = {column}" for key, column in self._guess.columns.items())
            lines.append(f"columns: {pairs}")
            if self._guess.unused:
                lines.append(f"not read: {', '.join(self._guess.unused)}")
            lines.append(f"if a guess is wrong, change it: {self._guess.line()}")
        if self._images.base.absolute() != self._folder.absolute():
            lines.append(f"images are in {self._images.base}")
        return tuple(lines)

    def _first_rows(self) -> tuple[list[str], list[Row]]:
        table = self._reader(self._paths[0], head=True)
        names = list(next(table)[1])
        return names, [row for _, row in islice(table, SAMPLE_ROWS)]

    def _image_cells(self, rows: Sequence[Row]) -> Iterator[str]:
        for key in ("image", "images"):
            column = self._guess.columns.get(key)
            for cell in (row.get(column) for row in rows if column):
                for entry in cell if isinstance(cell, list) else [cell]:
                    if isinstance(entry, str) and entry.strip():
                        yield from split_cell(entry.strip())

    def _read(self) -> Iterator[tuple[str, Row]]:
        for path in self._paths:
            yield from self._reader(path)
