"""A value that is no text is never trained on as the way Python writes it."""

import csv
import datetime
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from db.errors import UserError
from finetune.dataset.examples import DatasetExamples
from finetune.dataset.rows import Columns, text_of
from tests.support.datasets import png, write_images, write_lines


def load(path: Path, columns: Columns | None = None, **more: Any) -> DatasetExamples:
    return DatasetExamples.load(str(path), columns or Columns(), side=32, **more)


def answers(data: DatasetExamples) -> list[str]:
    return [example.answer for example in (*data.train, *data.val)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (["left", "left lower lobe"], "a list and no text"),
        ([{"label": "effusion"}], "a list and no text"),
        ({"findings": "Clear lungs.", "impression": "Normal."}, "an object and no text"),
        (True, "it is true and no text"),
        (False, "it is false and no text"),
        (float("nan"), "it is empty"),
        (float("inf"), "a value of type float and no text"),
        (None, "it is empty"),
        (" \n", "it is empty"),
        ("NaN", "as a table writes a missing value"),
        ("Clear lungs\N{REPLACEMENT CHARACTER}", "lost in decoding"),
    ],
)
def test_a_value_that_is_no_text_is_a_bad_row(tmp_path: Path, value: Any, reason: str) -> None:
    names = write_images(tmp_path, 2)
    rows = [{"image": names[0], "text": "Clear."}, {"image": names[1], "text": value}]
    path = write_lines(tmp_path / "train.jsonl", rows)
    with pytest.raises(
        UserError, match=rf"1 of 2 rows .*train.jsonl, line 2: column 'text': .*{reason}"
    ):
        load(path)
    assert answers(load(path, skip_bad=True)) == ["Clear."]
    rows = [
        {"image": n, "question": q, "answer": "Yes."}
        for n, q in zip(names, ("Clear?", value), strict=True)
    ]
    with pytest.raises(UserError, match=rf"line 2: column 'question': .*{reason}"):
        load(write_lines(tmp_path / "asked.jsonl", rows))


@pytest.mark.parametrize(
    ("value", "text"),
    [("A  b\nc", "A b c"), (2, "2"), (2.0, "2"), (0.25, "0.25"), ("2019-05-01", "2019-05-01")],
)
def test_texts_and_numbers_are_trained_on_as_they_stand(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_dates_stay_as_the_file_has_them(tmp_path: Path) -> None:
    names = write_images(tmp_path, 2)
    days = ["2019-05-01", "2019-05-02T10:00:00"]
    rows = [
        {"image": n, "question": "When?", "answer": d} for n, d in zip(names, days, strict=True)
    ]
    assert sorted(answers(load(write_lines(tmp_path / "train.jsonl", rows)))) == days


def parquet(path: Path, rows: dict[str, Any], **features: Any) -> Path:
    known = datasets.Features({"image": datasets.Value("binary"), **features})
    datasets.Dataset.from_dict(rows, features=known).to_parquet(path)
    return path


@pytest.mark.parametrize(
    ("feature", "value", "reason"),
    [
        (datasets.Value("timestamp[s]"), datetime.datetime(2019, 5, 1), "a date and no text"),
        (datasets.Value("date32"), datetime.date(2019, 5, 1), "a date and no text"),
        (datasets.Value("binary"), b"text", "binary data and no text"),
        (datasets.Value("bool"), True, "true and no text"),
        (datasets.List(datasets.Value("string")), ["a"], "a list and no text"),
    ],
)
def test_typed_columns_that_are_no_text_are_bad_rows(
    tmp_path: Path, feature: Any, value: Any, reason: str
) -> None:
    rows = {"image": [png(0)], "text": [value]}
    with pytest.raises(UserError, match=rf"train.parquet, row 1: column 'text': .*{reason}"):
        load(parquet(tmp_path / "train.parquet", rows, text=feature))


def test_a_class_label_is_its_name_and_no_label_a_bad_row(tmp_path: Path) -> None:
    label = datasets.ClassLabel(names=["normal", "effusion"])
    rows = {"image": [png(0), png(1), png(2)], "label": [1, 0, -1]}
    path = parquet(tmp_path / "train.parquet", rows, label=label)
    with pytest.raises(UserError, match="row 3: column 'label': it is empty"):
        load(path, Columns(text="label"))
    assert sorted(answers(load(path, Columns(text="label"), skip_bad=True))) == [
        "effusion",
        "normal",
    ]
    saved = tmp_path / "saved"
    datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path / "cache"))[
        "train"
    ].save_to_disk(saved)
    assert sorted(answers(load(saved, Columns(text="label"), skip_bad=True))) == [
        "effusion",
        "normal",
    ]


def test_every_bad_row_is_listed_with_its_file_row_column_and_reason(tmp_path: Path) -> None:
    (name,) = write_images(tmp_path, 1)
    rows: list[Any] = [{"image": name, "text": text} for text in ("Clear.", True, [], {}, None)]
    path = write_lines(
        tmp_path / "train.jsonl", [*rows, "no row", {"image": "none.png", "text": "A."}]
    )
    with path.open("a") as stream:
        stream.write('{"image": "cut sh')
    listed = tmp_path / "run" / "bad_rows.csv"
    with pytest.raises(UserError, match=r"7 of 8 rows .* and 4 more \(all of them are in .*\)"):
        load(path, bad_rows=listed)
    with listed.open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["row"] for row in table] == [f"line {number}" for number in range(2, 9)]
    assert {row["file"] for row in table} == {"train.jsonl"}
    assert [row["column"] for row in table] == ["text"] * 4 + ["", "image", ""]
    assert "a value of type str and no object" in table[4]["reason"]
    assert "it is not JSON" in table[6]["reason"]
    load(write_lines(path, rows[:1]), bad_rows=listed)
    assert not listed.exists()


def test_rows_may_differ_in_their_keys(tmp_path: Path) -> None:
    names = write_images(tmp_path, 2)
    rows = [{"image": names[0]}, {"image": names[1], "text": "Clear.", "age": 40}]
    path = write_lines(tmp_path / "train.jsonl", rows)
    with pytest.raises(UserError, match="line 1: column 'text': it is empty"):
        load(path)


def test_numbers_and_texts_may_share_a_column(tmp_path: Path) -> None:
    names = write_images(tmp_path, 2)
    rows = [
        {"image": n, "question": "How many?", "answer": a}
        for n, a in zip(names, (2, "none"), strict=True)
    ]
    assert sorted(answers(load(write_lines(tmp_path / "train.jsonl", rows)))) == ["2", "none"]


def test_an_array_of_a_parquet_file_is_an_image(tmp_path: Path) -> None:
    values = np.arange(64 * 48, dtype=np.uint8).reshape(64, 48)
    known = datasets.Features(
        {"image": datasets.Array2D((64, 48), "uint8"), "text": datasets.Value("string")}
    )
    rows = {"image": [values.tolist()], "text": ["Clear."]}
    datasets.Dataset.from_dict(rows, features=known).to_parquet(tmp_path / "train.parquet")
    assert load(tmp_path / "train.parquet").images.sizes == {(48, 64): 1}
