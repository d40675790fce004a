"""The rows that are trained on are those of the file or folder that was named."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

from db.errors import NotFoundError, UserError
from finetune.dataset.examples import DatasetExamples
from finetune.dataset.rows import Columns
from finetune.dataset.splits import find_splits
from tests.support.datasets import png, write_images, write_lines


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def texts(name: Path | str, split: str = "train", **more: Any) -> list[str]:
    rows = find_splits(str(name), **more)[split].rows()  # type: ignore[index]
    return [row["text"] for _, row in rows]


def table(said: str, count: int = 2) -> str:
    return "image,text\n" + "".join(f"{n}.png,{said} {n}\n" for n in range(count))


def rows(said: str, count: int = 2) -> list[dict[str, Any]]:
    return [{"image": f"{n}.png", "text": f"{said} {n}"} for n in range(count)]


def parquet(path: Path, said: str, count: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows(said, count)).to_parquet(path)
    return path


@pytest.mark.parametrize(
    "name", ["run[1]", "st*r", "wh?t", "a{b,c}", "run 1", "[!a]", "ü~$x", "**"]
)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "json"])
def test_a_name_is_a_path_and_never_a_pattern(tmp_path: Path, name: str, kind: str) -> None:
    for sibling in ("run1", "stXr", "what", "ab", "ac", "b", "plain"):
        write_lines(tmp_path / sibling / "train.jsonl", rows("other"))
        parquet(tmp_path / sibling / "train.parquet", "other")
    file = tmp_path / name / f"train.{kind}"
    file.parent.mkdir()
    if kind == "parquet":
        parquet(file, "own")
    elif kind == "jsonl":
        write_lines(file, rows("own"))
    else:
        file.write_text(table("own") if kind == "csv" else json.dumps(rows("own")))
    assert texts(file.parent) == texts(file) == ["own 0", "own 1"]
    odd = file.rename(file.with_name(f"[p]*?.{kind}"))
    assert texts(odd) == ["own 0", "own 1"]


def test_a_folder_of_save_to_disk_may_have_brackets(tmp_path: Path) -> None:
    for name, said in (("run[1]", "own"), ("run1", "other")):
        datasets.DatasetDict({"train": datasets.Dataset.from_list(rows(said))}).save_to_disk(
            tmp_path / name
        )
    datasets.Dataset.from_list(rows("alone")).save_to_disk(tmp_path / "[a]")
    assert texts(tmp_path / "run[1]") == ["own 0", "own 1"]
    assert texts(tmp_path / "[a]") == ["alone 0", "alone 1"]


def test_train_and_val_are_each_read_by_their_own_format(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", rows("train"))
    parquet(tmp_path / "validation.parquet", "val")
    assert texts(tmp_path) == ["train 0", "train 1"]
    assert texts(tmp_path, "val") == ["val 0", "val 1"]
    (tmp_path / "validation.parquet").unlink()
    (tmp_path / "dev.csv").write_text(table("val"))
    assert texts(tmp_path, "val") == ["val 0", "val 1"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train.jsonl", "train.csv"),
        ("train.json", "train.jsonl"),
        ("train.csv", "training.csv"),
        ("val.csv", "validation.csv"),
        ("train.jsonl", "Train.ndjson"),
    ],
)
def test_two_files_of_one_split_are_refused_by_name(tmp_path: Path, one: str, other: str) -> None:
    write_lines(tmp_path / "train.json", [])
    for name in (one, other):
        (tmp_path / name).write_text(table("x"))
    if "train.json" not in (one, other) and "val" not in one:
        (tmp_path / "train.json").unlink()
    with pytest.raises(UserError, match="2 files are the") as refused:
        find_splits(str(tmp_path))
    assert one in str(refused.value) and other in str(refused.value)


def test_shards_are_one_split_in_their_order(tmp_path: Path) -> None:
    for number in range(3):
        parquet(tmp_path / "data" / f"train-{number:05}-of-00003.parquet", f"part {number}", 1)
    parquet(tmp_path / "data" / "test-00000-of-00001.parquet", "test")
    assert texts(tmp_path) == ["part 0 0", "part 1 0", "part 2 0"]
    assert find_splits(str(tmp_path)).keys() == {"train"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(rows("own"))),
        ("a.json", json.dumps({"data": rows("own"), "version": 1})),
        ("a.json", json.dumps({"annotations": rows("own"), "info": {}})),
        ("a.json", json.dumps({"train": rows("own"), "test": rows("test")})),
        ("a.json", "\n".join(json.dumps(row) for row in rows("own"))),
        ("a.jsonl", "\n\n".join(json.dumps(row) for row in rows("own"))),
        ("a.jsonl", json.dumps(rows("own"))),
        ("a.ndjson", "\n".join(json.dumps(row) for row in rows("own"))),
        ("a.jsonl", "\ufeff" + "\n".join(json.dumps(row) for row in rows("own"))),
        ("a.csv", table("own")),
        ("A.CSV", table("own")),
        ("a.csv", table("own").replace(",", ";")),
        ("a.tsv", table("own").replace(",", "\t")),
    ],
)
def test_every_form_of_a_text_file_is_read(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert texts(tmp_path / name) == ["own 0", "own 1"]


def test_splits_of_one_json_file_are_kept_apart(tmp_path: Path) -> None:
    whole = {"train": rows("train"), "val": rows("val"), "test": rows("test")}
    (tmp_path / "annotation.json").write_text(json.dumps(whole))
    assert texts(tmp_path / "annotation.json") == ["train 0", "train 1"]
    assert texts(tmp_path / "annotation.json", "val") == ["val 0", "val 1"]


def test_an_image_folder_is_read_by_its_metadata(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_images(tmp_path / split, 2)
        lines = "".join(f"image-{n}.png,{split} {n}\n" for n in range(2))
        (tmp_path / split / "metadata.csv").write_text("file_name,text\n" + lines)
    assert texts(tmp_path) == ["train 0", "train 1"]
    assert texts(tmp_path, "val") == ["val 0", "val 1"]


def test_a_subset_and_a_stream_are_asked_of_the_hub() -> None:
    asked: list[Any] = []

    def hub(*names: str, streaming: bool) -> dict[str, Any]:
        asked.append((names, streaming))
        given = datasets.Dataset.from_list(
            [{"image": {"bytes": png(n), "path": None}, "text": f"own {n}"} for n in range(5)]
        ).cast_column("image", datasets.Image())
        return {"train": given.to_iterable_dataset() if streaming else given}

    assert len(texts("owner/name", subset="en", stream=True, loader=hub)) == 5
    assert asked == [(("owner/name", "en"), True)]


def test_a_missing_subset_is_named_with_those_there_are(tmp_path: Path) -> None:
    for name in ("en", "zh"):
        parquet(tmp_path / name / "train.parquet", name)
    card = "---\nconfigs:\n" + "".join(
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {name}/train.parquet\n"
        for name in ("en", "zh")
    )
    (tmp_path / "README.md").write_text(card + "---\n")
    with pytest.raises(UserError, match=r"'en', 'zh'.*--subset"):
        find_splits(str(tmp_path))
    assert texts(tmp_path, subset="zh") == ["zh 0", "zh 1"]
    odd = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}[1]"))
    with pytest.raises(UserError, match="a wildcard in its name: rename"):
        find_splits(str(odd), subset="zh")
    odd.rename(tmp_path)


def load(path: Path | str) -> DatasetExamples:
    return DatasetExamples.load(str(path), Columns(), side=32)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("train.jsonl", b"", "has no row to train on"),
        ("train.json", b"[]", "has no row to train on"),
        ("train.csv", b"image,text\n", "has no row to train on"),
        ("train.csv", b"", "is empty"),
        ("train.json", b"", "invalid JSON"),
        ("train.json", b"{", "invalid JSON"),
        ("train.json", b"7", "holds no rows"),
        ("train.jsonl", '{"image": "a.png", "text": "Übergang"}'.encode("latin-1"), "not UTF-8"),
        ("train.json", '[{"image": "a.png", "text": "é"}]'.encode("latin-1"), "not UTF-8"),
        ("train.jsonl", '{"image": "a.png", "text": "a"}'.encode("utf-16"), "not UTF-8"),
        ("train.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
        ("train.parquet", b"", "cannot be read as Parquet"),
        ("train.txt", b"text", "no train split"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=reason) as refused:
        load(tmp_path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


def test_an_empty_val_file_means_no_validation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = write_images(tmp_path, 3)
    write_lines(tmp_path / "train.jsonl", [{"image": n, "text": "Clear."} for n in names])
    for name in ("val.jsonl", "val.csv"):
        (tmp_path / name).write_text("image,text\n" if name.endswith("csv") else "")
        data = load(tmp_path)
        assert len(data.train) == 3 and not data.val
        assert "no example is held out" in caplog.text
        (tmp_path / name).unlink()


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    for name in (tmp_path / "none.jsonl", tmp_path / "none", "none.csv"):
        with pytest.raises(NotFoundError, match="does not exist"):
            load(name)


def test_a_stream_that_breaks_off_is_a_sentence() -> None:
    class Broken:
        features: None = None

        def __iter__(self) -> Iterator[dict[str, Any]]:
            yield {"text": "own 0"}
            raise ConnectionError("the hub is gone")

    splits = find_splits("owner/name", loader=lambda name, streaming: {"train": Broken()})
    with pytest.raises(UserError, match=r"owner/name \(train\) cannot be read .*the hub is gone"):
        list(splits["train"].rows())
