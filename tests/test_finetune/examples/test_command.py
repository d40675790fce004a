"""Verbs that need a split of a data set: any source will do, here CheXpert Plus and a table."""

import csv
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from evaluation.__main__ import main as evaluation
from finetune.__main__ import main as finetune
from finetune.examples.folder import ExampleFolder
from indexer.__main__ import main as indexer
from indexer.build import build
from indexer.sources.chexpert_plus import CheXpertPlus
from indexer.sources.split_choice import SplitChoice
from retriever.search import Retriever
from tests.support.fakes import REPORTS, ThumbnailEncoder
from tests.support.radiographs import draw_radiograph

COLUMNS = ("path_to_image", "deid_patient_id", "frontal_lateral", "ap_pa", "split")
TRAIN, VALID = 6, 5


@pytest.fixture(scope="module")
def plus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CheXpert Plus with its own split, as many val studies as an evaluation needs at least."""
    root = tmp_path_factory.mktemp("plus") / "chexpert-plus"
    rows = []
    for number in range(TRAIN + VALID):
        split = "train" if number < TRAIN else "valid"
        path = f"{split}/patient{number}/study1/view1_frontal.jpg"
        image = root / "PNG" / "PNG" / path.replace(".jpg", ".png")
        image.parent.mkdir(parents=True)
        Image.fromarray(draw_radiograph(number, size=(96, 80))).save(image)
        findings, impression = REPORTS[number % len(REPORTS)]
        rows.append(
            dict(zip(COLUMNS, (path, f"patient{number}", "Frontal", "PA", split), strict=True))
            | {"report": "", "section_findings": findings, "section_impression": impression}
        )
    with (root / "df_chexpert_plus_240401.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return root


@pytest.fixture(scope="module")
def index(plus: Path) -> Path:
    path = plus.parent / "index"
    where = ("--source", "chexpert-plus", "--data-dir", str(plus))
    assert indexer(["build", *where, "--split", "train", "--out", str(path)]) == 0
    return path


def examples(index: Path, out: Path, *more: str) -> int:
    model = ("--model", "pretrained/generator", "--side", "32", "--passes", "2")
    return finetune(["examples", "--index", str(index), "--out", str(out), *model, *more])


def test_examples_are_validated_on_the_val_split_of_any_source(
    plus: Path, index: Path, tmp_path: Path
) -> None:
    where = ("--source", "chexpert-plus", "--data-dir", str(plus), "--val-index", str(index))
    assert examples(index, tmp_path / "pack", *where) == 0
    pack = ExampleFolder.load(tmp_path / "pack")
    assert {one.study_id for one in pack.train} == {f"patient{n}-study1" for n in range(TRAIN)}
    held_out = {f"patient{n}-study1" for n in range(TRAIN, TRAIN + VALID)}
    assert {one.study_id for one in pack.val} == held_out
    assert {one.task for one in pack.val} >= {"report", "classify", "caption"}
    # A split file goes before what the data set says.
    split_file = tmp_path / "split.json"
    split_file.write_text(json.dumps({"train": [], "val": ["patient7-study1"], "test": []}))
    assert examples(index, tmp_path / "one", *where, "--split-file", str(split_file)) == 0
    assert {one.study_id for one in ExampleFolder.load(tmp_path / "one").val} == {"patient7-study1"}


def test_a_val_study_that_is_trained_on_is_refused(
    plus: Path, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split_file = tmp_path / "split.json"
    split_file.write_text(json.dumps({"train": [], "val": ["patient0-study1"], "test": []}))
    where = ("--source", "chexpert-plus", "--data-dir", str(plus), "--split-file", str(split_file))
    assert examples(index, tmp_path / "pack", *where) == 1
    said = capsys.readouterr().err
    assert "study patient0-study1 of the val split is trained on, it is in" in said
    assert "hold patients out with --hold-out" in said


def test_studies_with_labels_alone_validate_what_labels_can(index: Path, tmp_path: Path) -> None:
    Image.fromarray(draw_radiograph(50, size=(96, 80))).save(tmp_path / "a.png")
    (tmp_path / "own.csv").write_text("study_id,image,split,Cardiomegaly,Edema\na,a.png,val,1,0\n")
    where = ("--source", "csv", "--data-dir", str(tmp_path / "own.csv"))
    assert examples(index, tmp_path / "pack", *where) == 0
    val = ExampleFolder.load(tmp_path / "pack").val
    assert {one.study_id for one in val} == {"a"} and "classify" in {one.task for one in val}
    assert "report" not in {one.task for one in val}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--source", "csv", "--data-dir", "DIR/own.csv"), "no study .* in split 'val'"),
        (("--data-dir", "DIR"), "source openi has no splits of its own: .* --split-file"),
        (("--source", "chexpert", "--data-dir", "DIR/none"), "expected the folder CheXpert"),
        (("--source", "jsonl", "--split-file", "DIR/own.csv"), "source jsonl needs --data-dir"),
        (("--source", "chexpert", "--data-dir", "DIR", "--name", "x"), "has no option --name"),
    ],
)
def test_a_val_split_that_is_not_there_is_named(
    index: Path,
    tmp_path: Path,
    more: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Image.fromarray(draw_radiograph(50, size=(96, 80))).save(tmp_path / "a.png")
    (tmp_path / "own.csv").write_text("image,text,split\na.png,The heart is large.,train\n")
    where = tuple(one.replace("DIR", str(tmp_path)) for one in more)
    assert examples(index, tmp_path / "pack", *where) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and re.search(message, error)
    assert not (tmp_path / "pack").exists()


def test_retrieval_is_evaluated_on_a_split_of_any_source(
    plus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = CheXpertPlus(plus, choice=SplitChoice(keep=frozenset({"train"})))
    build(train, ThumbnailEncoder(), tmp_path / "index")
    where = ("--source", "chexpert-plus", "--data-dir", str(plus), "--split", "val")
    arguments = ["retrieval", str(tmp_path / "index"), *where, "--resamples", "20", "--json"]
    opened = lambda path, **_: Retriever.open(path, ThumbnailEncoder())  # noqa: E731
    assert evaluation(arguments, open_retriever=opened) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["subsets"][0]["studies"] == VALID
