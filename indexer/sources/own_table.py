"""Your own studies from a CSV or Parquet file, or a folder of Parquet files; one row per image.

    study_id,patient_id,image,view_position,findings,impression,split,Cardiomegaly,Edema
    s1,p1,s1/pa.png,PA,"The heart is large.",Cardiomegaly.,train,1,-1

``image`` and one of ``text``, ``findings``, ``impression`` or an observation are required. Other
column names are mapped with ``--columns image=File,text=Report``; unknown columns are ignored. Rows
with the same study_id form one study: images of all rows are used, different texts are joined (a
report and its addendum), and labels are merged, positive over uncertain over negative. Without
study_id each row is a study, named ``row-1`` and so on. Paths are relative to the folder of the
file.

Labels: optional columns for the 14 observations, with 1 or positive, 0 or negative, -1 or
uncertain; an empty cell is unmentioned. A Parquet file may hold images as bytes (as on Hugging
Face); they are written to ``--images-dir``. The licence is the user's own. Known noise: see
``indexer.sources.tables`` for what is accepted as CSV.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from db.errors import NotFoundError
from indexer.sources.image_bytes import ImageStore
from indexer.sources.records import Record, check_identifier
from indexer.sources.split_choice import SplitChoice
from indexer.sources.table_studies import RowOptions, TableStudies
from indexer.sources.tables import Row, read_table


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
    ) -> None:
        """``columns`` maps our column names to those of the file.

        Raises NotFoundError if there is no table.
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
        self._studies = TableStudies(
            self._read,
            RowOptions(
                columns=columns or {},
                images=ImageStore(images_dir),
                folder=path if path.is_dir() else path.parent,
                choice=choice,
            ),
        )

    def records(self) -> Iterator[Record]:
        return self._studies.records()

    def _read(self) -> Iterator[tuple[str, Row]]:
        for path in self._paths:
            yield from read_table(path)
