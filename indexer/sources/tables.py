"""Read tables row by row: CSV, plain or gzipped, and Parquet.

    for place, row in read_table(Path("train.csv.gz"), needs=("Path", "Sex")):
        ...                        # place: "train.csv.gz, line 2", for messages

The format of a file is determined from its content. See `indexer.sources.csv_rows` for what is
accepted as CSV.
"""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from db.errors import NotFoundError, UserError
from indexer.sources.csv_rows import read_csv
from indexer.sources.records import check_file

Row = dict[str, Any]
"""Column to value. In a CSV file every value is text, and missing ones are empty."""

_ROWS_A_BATCH = 256


def find_table(directory: Path, *names: str, what: str) -> Path:
    """Find the first of ``names`` in ``directory``, also with ``.gz`` appended.

    Raises NotFoundError that says what was expected.
    """
    found = find_optional(directory, *names)
    if found is None:
        expected = " or ".join(f"'{name}'" for name in names)
        raise NotFoundError(f"{directory} has no {expected} (or .gz of it), {what}")
    return found


def find_optional(directory: Path, *names: str) -> Path | None:
    """Like `find_table`, but return None if there is none."""
    for name in names:
        for candidate in (directory / name, directory / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    return None


def read_table(
    path: Path, *, needs: Iterable[str] = (), head: bool = False
) -> Iterator[tuple[str, Row]]:
    """Yield every row with a description of its place for messages.

    With ``head``, a row that maps each column to "" comes first.

    Raises NotFoundError if there is no file, and UserError if it is not a table, lacks a column of
    ``needs`` or is damaged.
    """
    check_file(path, "expected a table")
    rows = _read_parquet(path) if _is_parquet(path) else read_csv(path)
    first = next(rows)
    columns = first[1]
    missing = [name for name in needs if name not in columns]
    if missing:
        raise UserError(
            f"{path} has no column '{missing[0]}': it has {', '.join(map(str, columns))[:300]}"
        )
    if head:
        yield first
    yield from rows


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as stream:
        return path.suffix == ".parquet" or stream.read(4) == b"PAR1"


def _read_parquet(path: Path) -> Iterator[tuple[str, Row]]:
    try:  # pyarrow is needed only for Parquet
        pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise UserError(
            f"{path}: reading Parquet needs the package pyarrow, which is not installed: run "
            "scripts/install data"
        ) from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            yield "", dict.fromkeys(file.schema_arrow.names, "")
            for batch in file.iter_batches(batch_size=_ROWS_A_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read as Parquet ({error})") from error
