"""Tables as they occur in data sets and hospitals, and their rows brought together by a key."""

import gzip
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.errors import NotFoundError, UserError
from indexer.sources.grouping import Groups
from indexer.sources.tables import find_table, read_table


def rows(path: Path, *needs: str) -> list[dict[str, object]]:
    return [row for _, row in read_table(path, needs=needs)]


@pytest.mark.parametrize(
    "content",
    [
        'id,text\n1,"déjà, vu"\n',
        '\ufeffid,text\r\n1,"déjà, vu"\r\n',
        'id;text\n1;"déjà, vu"\n\n',
        "id\ttext\n1\tdéjà, vu",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_csv_files_of_common_encodings_and_separators_are_read(
    tmp_path: Path, content: str, encoding: str
) -> None:
    if content.startswith("\ufeff") and encoding != "utf-8":
        content = content[1:]
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode(encoding))
    assert rows(path, "id") == [{"id": "1", "text": "déjà, vu"}]
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert rows(packed) == [{"id": "1", "text": "déjà, vu"}]


def test_single_lines_in_latin_1_are_decoded_separately(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("id,text\n1,naïve\n".encode() + "2,naïve\n".encode("latin-1"))
    assert [row["text"] for row in rows(path)] == ["naïve", "naïve"]


def test_short_rows_are_filled_and_quoted_line_breaks_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b,c\n1\n"2\n3",4,5,,\n')
    assert rows(path) == [{"a": "1", "b": "", "c": ""}, {"a": "2\n3", "b": "4", "c": "5"}]


def test_an_invalid_table_is_named_with_the_expected_format(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with pytest.raises(NotFoundError, match=r"t\.csv does not exist"):
        rows(path)
    with pytest.raises(NotFoundError, match="is a folder: expected a table"):
        rows(tmp_path)
    path.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(UserError, match="no column 'c': it has a, b"):
        rows(path, "a", "c")
    with pytest.raises(UserError, match="line 3: 3 cells for 2 columns"):
        rows(path)
    path.write_text("")
    with pytest.raises(UserError, match="is empty"):
        rows(path)
    path.write_text("a\n" + "x" * 5_000_000)
    with pytest.raises(UserError, match=r"after line .*invalid CSV"):
        rows(path)
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(b"a,b\n1,2\n" * 1000)[:-20])
    with pytest.raises(UserError, match="fetch it again"):
        rows(packed)
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        rows(tmp_path / "t.parquet")
    with pytest.raises(NotFoundError, match=r"no 'x\.csv' or 'y\.csv' \(or \.gz of it\), the z"):
        find_table(tmp_path, "x.csv", "y.csv", what="the z")


def test_parquet_gives_the_values_as_they_are(tmp_path: Path) -> None:
    table = pyarrow.table({"id": [1, 2], "images": [["a.png", "b.png"], []], "note": ["x", None]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    assert rows(tmp_path / "t.parquet", "id") == table.to_pylist()
    with pytest.raises(UserError, match="no column 'text': it has id, images, note"):
        rows(tmp_path / "t.parquet", "text")


KEYED = st.lists(st.tuples(st.sampled_from("abc"), st.dictionaries(st.text(), st.text())))


@settings(max_examples=30)
@given(KEYED, KEYED)
def test_groups_keep_every_row_under_its_key_in_order(
    images: list[tuple[str, dict[str, str]]], labels: list[tuple[str, dict[str, str]]]
) -> None:
    groups = Groups({"image": images, "label": labels})
    found = list(groups)
    assert found == list(groups)
    assert [key for key, _ in found] == sorted({key for key, _ in images + labels})
    for key, tables in found:
        assert tables.get("image", []) == [row for own, row in images if own == key]
        assert tables.get("label", []) == [row for own, row in labels if own == key]
