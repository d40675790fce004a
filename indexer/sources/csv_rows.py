"""Read CSV files as programs and people write them.

    for place, row in read_csv(Path("befunde.csv.gz")):
        ...                        # the first row maps every column to ""

UTF-8 with or without a byte order mark, UTF-16, single lines in code page 1252 (Latin-1); comma,
semicolon, tab or bar between cells; quoted line breaks; Excel's line ``sep=;``; line ends of any
system; gzipped files whatever their name. Of columns with the same name the second is called
``text (2)`` and so on; a column without a name ``column 3``.
"""

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO, cast

from db.errors import UserError

_LONGEST_CELL = 4_000_000
_SEPARATORS = ",;\t|"
_SAMPLE_LINES = 200
_HEAD = 4096
_OTHER_FORMATS = (
    (b"PK\x03\x04", "is an Excel workbook or a zip archive: save the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "is an Excel workbook: save the table as CSV"),
    (b"%PDF", "is a PDF: export the table as CSV"),
    (b"SQLite format 3", "is an SQLite database: export the table as CSV"),
    (b"{", "is JSON: use --source json, or jsonl for one object a line"),
    (b"[", "is JSON: use --source json"),
    (b"<", "is HTML or XML: export the table as CSV"),
)
_SEP_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)


def read_csv(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the columns first, then every row with a description of its place.

    Raises UserError for a file of another format, an empty or damaged one, a row with more cells
    than columns, and a quotation mark that is never closed.
    """
    number = 0
    previous = csv.field_size_limit(_LONGEST_CELL)
    try:
        with _open_binary(path) as stream:
            sample, separator, skipped = _sample(text := _decode(stream, path))
            lines = _Lines(chain(sample, text))
            reader = csv.reader(lines, delimiter=separator)
            columns: list[str] = []
            for cells in reader:
                number = reader.line_num + skipped
                if not any(cell.strip() for cell in cells):
                    continue
                if not columns:
                    columns = _column_names(cells)
                    yield "", dict.fromkeys(columns, "")
                    continue
                if len(cells) > len(columns) and any(cells[len(columns) :]):
                    raise UserError(
                        f"{path}, line {number}: {len(cells)} cells for {len(columns)} columns; "
                        f"put cells that contain {_name_of(separator)} in quotation marks"
                    )
                if lines.ended:  # in the middle of a row
                    opening = cells[-1].strip()[:40].split("\n")[0]
                    raise UserError(
                        f"{path}: the quotation mark before '{opening}' is never closed: close it, "
                        "or remove it"
                    )
                cells += [""] * (len(columns) - len(cells))
                yield f"{path}, line {number}", dict(zip(columns, cells, strict=False))
            if not columns:
                raise UserError(f"{path} is empty: expected a first line with column names")
    except csv.Error as error:
        raise UserError(f"{path}, after line {number}: invalid CSV ({error})") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch it again") from error
    finally:
        csv.field_size_limit(previous)


class _Lines:
    """Lines that remember whether more of them were asked for than there are."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            return line
        self.ended = True
        raise StopIteration


def _sample(lines: Iterator[str]) -> tuple[list[str], str, int]:
    """Return the first lines, the separator of cells, and how many lines precede the sample."""
    sample = list(islice(lines, _SAMPLE_LINES))
    skipped = 0
    while sample and not sample[0].strip():
        sample, skipped = sample[1:], skipped + 1
    stated = _SEP_LINE.fullmatch(sample[0]) if sample else None
    if stated is not None:
        return sample[1:], stated[1], skipped + 1
    best, separator = (0.0, 0), ","
    for candidate in _SEPARATORS:
        rows = [row for row in csv.reader(sample, delimiter=candidate) if any(row)]
        if len(sample) == _SAMPLE_LINES:
            rows = rows[:-1] or rows  # the last one may be incomplete
        width = len(rows[0]) if rows else 0
        if width < 2:
            continue
        fitting = sum(len(row) == width for row in rows[1:]) / max(1, len(rows) - 1)
        if (fitting, width) > best:
            best, separator = (fitting, width), candidate
    return sample, separator, skipped


def _column_names(cells: Sequence[str]) -> list[str]:
    """Name the columns; no two names are the same."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for place, cell in enumerate(cells, start=1):
        name = " ".join(cell.split()) or f"column {place}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _name_of(separator: str) -> str:
    return {",": "a comma", ";": "a semicolon", "\t": "a tab"}.get(separator, f"'{separator}'")


def _open_binary(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked if it is gzipped."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")


def _decode(stream: IO[bytes], path: Path) -> Iterator[str]:
    """Yield lines with their ends, decoded as UTF-8 or, if that fails, as code page 1252.

    Raises UserError for a file of another format.
    """
    head = stream.read(_HEAD)
    encoding = _wide_encoding(head)
    if encoding is not None:
        text = (head + stream.read()).decode(encoding, errors="replace").removeprefix("\ufeff")
        yield from io.StringIO(text.replace("\0", ""), newline=None)
        return
    for start, what in _OTHER_FORMATS:
        if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(start):
            raise UserError(f"{path} {what}")
    if b"\r" in head and b"\n" not in head:  # the line ends of old Macintosh programs
        head, rest = (head + stream.read()).replace(b"\r", b"\n"), b""
    else:
        rest = stream.readline() if not head.endswith(b"\n") else b""
    for line in (head + rest).removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True):
        yield _line(line)
    for line in stream:
        yield _line(line)


def _wide_encoding(head: bytes) -> str | None:
    """Return utf-32 or utf-16 if the file is in one of them, with or without a mark."""
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    pairs = max(1, len(head) // 2)
    if head[1::2].count(0) > pairs / 2:
        return "utf-16-le"
    return "utf-16-be" if head[0::2].count(0) > pairs / 2 else None


def decode_text(data: bytes) -> str:
    """Decode a text file, each line as UTF-8 or, if that fails, as code page 1252."""
    return "".join(map(_line, data.splitlines(keepends=True)))


def _line(line: bytes) -> str:
    try:
        return line.decode("utf-8").replace("\0", "")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace").replace("\0", "")
