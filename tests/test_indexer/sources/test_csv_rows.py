"""CSV files as Excel, databases and old programs write them."""

import gzip
from pathlib import Path

import pytest

from db.errors import UserError
from indexer.sources.tables import read_table


def rows(path: Path) -> list[dict[str, object]]:
    return [row for _, row in read_table(path)]


def write(folder: Path, content: bytes) -> Path:
    (folder / "t.csv").write_bytes(content)
    return folder / "t.csv"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_wide_characters_and_foreign_line_ends_are_decoded(
    tmp_path: Path, encoding: str, line_end: str
) -> None:
    text = line_end.join(["Bild;Befund", '1.png;"Herz größer,', 'Lunge frei"', "2.png;Kein Erguss"])
    path = write(tmp_path, text.encode(encoding))
    assert [row["Bild"] for row in rows(path)] == ["1.png", "2.png"]
    assert str(rows(path)[0]["Befund"]).split() == ["Herz", "größer,", "Lunge", "frei"]


def test_the_separator_is_the_one_that_fits_the_rows(tmp_path: Path) -> None:
    text = "Befund, gesamt;Bild\nHerz groß, Lunge frei, kein Erguss;1.png\nUnauffällig;2.png\n"
    assert rows(write(tmp_path, text.encode())) == [
        {"Befund, gesamt": "Herz groß, Lunge frei, kein Erguss", "Bild": "1.png"},
        {"Befund, gesamt": "Unauffällig", "Bild": "2.png"},
    ]
    assert rows(write(tmp_path, b"a|b\n1, 2|3\n")) == [{"a": "1, 2", "b": "3"}]
    assert rows(write(tmp_path, b"sep=;\r\na;b\r\n1,5;2,5\r\n")) == [{"a": "1,5", "b": "2,5"}]


def test_column_names_may_be_quoted_over_lines_repeated_or_missing(tmp_path: Path) -> None:
    path = write(tmp_path, b'\n"Report\ntext",text,text,\nA,B,C,D\n')
    [(place, row)] = read_table(path)
    assert row == {"Report text": "A", "text": "B", "text (2)": "C", "column 4": "D"}
    assert place.endswith("line 4")


def test_a_gzipped_file_is_recognised_without_its_ending(tmp_path: Path) -> None:
    assert rows(write(tmp_path, gzip.compress(b"a,b\n1,2\n"))) == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 workbook", "is an Excel workbook or a zip archive: save the table as CSV"),
        (b"\xd0\xcf\x11\xe0 workbook", "is an Excel workbook: save the table as CSV"),
        (b'{"image": "a.png"}', "is JSON: use --source json, or jsonl"),
        (b"<html><table>", "is HTML or XML: export the table as CSV"),
        (b"  \n\n", "is empty: expected a first line with column names"),
        (b'a,b\n1,"never closed\n2,x\n', "quotation mark before 'never closed' is never closed"),
        (b"a,b\n1,2\n1,2,3\n", "line 3: 3 cells for 2 columns; put cells that contain a comma in"),
    ],
)
def test_another_format_and_a_broken_row_are_refused_with_a_cure(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        rows(write(tmp_path, content))


def test_parquet_is_recognised_by_its_content(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"id": [1]}), tmp_path / "export.dat")
    assert rows(tmp_path / "export.dat") == [{"id": 1}]
