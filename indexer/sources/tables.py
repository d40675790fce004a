"""Read tables row by row: CSV, plain or gzipped, and Parquet.

    for place, row in read_table(Path("train.csv.gz"), needs=("Path", "Sex")):
        ...                        # place: "train.csv.gz, line 2", for messages

CSV files are read as they occur in practice: UTF-8 with or without a byte order mark, UTF-16 with
one, single lines in Latin-1 (code page 1252); comma, semicolon or tab; quoted line breaks.
"""

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

from db.errors import NotFoundError, UserError
from indexer.sources.records import check_file

Row = dict[str, Any]
"""Column to value. In a CSV file every value is text, and missing ones are empty."""

_LONGEST_CELL = 4_000_000
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


def read_table(path: Path, *, needs: Iterable[str] = ()) -> Iterator[tuple[str, Row]]:
    """Yield every row with a description of its place for messages.

    Raises NotFoundError if there is no file, and UserError if it is not a table, lacks a column of
    ``needs`` or is damaged.
    """
    check_file(path, "expected a table")
    rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    columns = next(rows)[1]
    missing = [name for name in needs if name not in columns]
    if missing:
        raise UserError(
            f"{path} has no column '{missing[0]}': it has {', '.join(map(str, columns))[:300]}"
        )
    yield from rows


def _read_csv(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield the columns first, then the rows."""
    number = 0
    previous = csv.field_size_limit(_LONGEST_CELL)
    try:
        with _open_binary(path) as stream:
            lines = _decode(stream)
            head = next(lines, "")
            separator = max(",;\t", key=head.count)
            header = next(csv.reader([head], delimiter=separator), [])
            columns = [name.strip() for name in header]
            if not any(columns):
                raise UserError(f"{path} is empty: expected a first line with column names")
            yield "", dict.fromkeys(columns, "")
            reader = csv.reader(lines, delimiter=separator)
            for cells in reader:
                number = reader.line_num + 1
                if not any(cells):
                    continue
                if len(cells) > len(columns) and any(cells[len(columns) :]):
                    raise UserError(
                        f"{path}, line {number}: {len(cells)} cells for {len(columns)} columns"
                    )
                cells += [""] * (len(columns) - len(cells))
                yield f"{path}, line {number}", dict(zip(columns, cells, strict=False))
    except csv.Error as error:
        raise UserError(f"{path}, after line {number}: invalid CSV ({error})") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch it again") from error
    finally:
        csv.field_size_limit(previous)


def _open_binary(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


def _decode(stream: IO[bytes]) -> Iterator[str]:
    """Yield lines with their ends, decoded as UTF-8 or, if that fails, as code page 1252."""
    start = stream.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        text = (start + stream.read()).decode("utf-16", errors="replace")
        yield from text.splitlines(keepends=True)
        return
    first = start + stream.readline() if not start.endswith(b"\n") else start
    yield _line(first.removeprefix(b"\xef\xbb\xbf"))
    for line in stream:
        yield _line(line)


def decode_text(data: bytes) -> str:
    """Decode a text file, each line as UTF-8 or, if that fails, as code page 1252."""
    return "".join(map(_line, data.splitlines(keepends=True)))


def _line(line: bytes) -> str:
    try:
        return line.decode("utf-8").replace("\0", "")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace").replace("\0", "")


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
