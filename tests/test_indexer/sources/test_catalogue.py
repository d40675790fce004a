"""Sources by name, and the command line that names them."""

import argparse
import ast
import re
from pathlib import Path

import pytest

from db.errors import NotFoundError, UserError
from indexer.sources import catalogue
from indexer.sources.arguments import add_source_arguments, options_of
from indexer.sources.catalogue import open_source
from indexer.sources.source_options import SOURCES, SourceOptions

FOLDER = Path(catalogue.__file__).parent


def options(*words: str) -> tuple[str, SourceOptions]:
    parser = argparse.ArgumentParser()
    add_source_arguments(parser)
    arguments = parser.parse_args(words)
    return arguments.source, options_of(arguments)


def test_the_command_line_opens_a_source(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("File,Report,split\na.png,Clear.,dev\n")
    name, given = options(
        *("--source", "csv", "--data-dir", str(table), "--name", "ward"),
        *("--columns", "image=File,text=Report", "--split", "dev"),
    )
    source = open_source(name, given)
    assert (source.name, source.split) == ("ward", "dev")
    [record] = source.records()
    assert record.study_id == "row-1"


def test_every_source_that_is_offered_can_be_opened_and_none_is_hidden() -> None:
    assert tuple(catalogue._SOURCES) == SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_each_source_names_the_expected_files(name: str, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(UserError, match=f"source {name} needs --data-dir: "):
        open_source(name, SourceOptions())
    with pytest.raises(NotFoundError, match="nowhere"):
        open_source(name, SourceOptions(data_dir=nowhere))
    for takes, option in (
        ({"openi", "mimic-cxr", "dicom"}, {"reports": nowhere}),
        ({"openi"}, {"vectors": nowhere}),
        ({"csv", "parquet", "json", "jsonl", "r2gen", "llava", "hub"}, {"images_dir": nowhere}),
    ):
        if name not in takes:
            flag = next(iter(option)).replace("_", "-")
            with pytest.raises(UserError, match=f"source {name} has no option --{flag}: it is for"):
                open_source(name, SourceOptions(data_dir=nowhere, **option))


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"csv", "parquet", "json", "jsonl"}))
def test_each_published_set_has_its_provenance_licence_labels_and_noise(name: str) -> None:
    module = {"dicom": "dicom_folder"}.get(name, name.replace("-", "_"))
    docstring = ast.get_docstring(ast.parse((FOLDER / f"{module}.py").read_text())) or ""
    for word in ("Source", "icence", "Layout:", "Labels:", "oise"):
        assert word in docstring, f"{module}.py says nothing of {word}"
    if name not in ("dicom", "hub"):
        assert re.search(r"arXiv \d{4}\.\d{5}|JAMIA \d{4}", docstring)


def test_a_wrong_name_split_or_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown source 'mimic': use one of openi, mimic-cxr"):
        open_source("mimic", SourceOptions(data_dir=tmp_path))
    with pytest.raises(UserError, match="unknown split 'dev': use train, val, test or unlisted"):
        open_source("chexpert", SourceOptions(data_dir=tmp_path, split="dev"))
    with pytest.raises(UserError, match="'image' is not of the form image=File"):
        options("--source", "csv", "--columns", "image")


def test_open_i_has_no_splits_without_a_split_file(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(UserError, match="openi has no splits of its own: --split needs"):
        open_source("openi", SourceOptions(data_dir=tmp_path, split="train"))


def test_a_split_is_drawn_by_patient_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = [f"{n}.png,Clear.,s{n},p{n // 2}" for n in range(40)]
    table = tmp_path / "t.csv"
    parts: list[dict[str, set[str]]] = []
    for ordered in (rows, rows[::-1]):
        table.write_text("\n".join(["image,text,study_id,patient_id", *ordered]) + "\n")
        found = {}
        for split in ("train", "val"):
            drawn = ("--split-by", "patient:0.2", "--split", split)
            source = open_source(*options("--source", "csv", "--data-dir", str(table), *drawn))
            assert source.split == split
            found[split] = {record.study_id for record in source.records()}
        parts.append(found)
    assert parts[0] == parts[1]
    train, val = parts[0]["train"], parts[0]["val"]
    assert not train & val and len(train | val) == 40 and 2 <= len(val) <= 14
    assert all((f"s{n}" in val) == (f"s{n + 1}" in val) for n in range(0, 40, 2))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split-by", "0.2"), "--split-by must be patient:SHARE"),
        (("--split-by", "image:0.2"), "--split-by draws patients: give it as patient:0.2"),
        (("--split-by", "patient:0.2", "--split", "test"), "draws train and val, not 'test'"),
        (("--split-by", "patient:0.2", "--split-file", "s.json"), "leave out --split-file"),
    ],
)
def test_a_split_that_cannot_be_drawn_is_refused(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("image,text\na.png,Clear.\n")
    with pytest.raises(UserError, match=message):
        open_source(*options("--source", "csv", "--data-dir", str(table), *words))
