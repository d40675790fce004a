"""A file of pairs: read as it was written, bad rows named, held-out studies refused."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.errors import NotFoundError, UserError
from finetune.examples.folder import encode_canvas
from finetune.preferences.pair_file import PairFile
from tests.support.models.mllama_models import drawn_canvas
from tests.support.models.training import write_pair_file

Row = dict[str, Any]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair_file(tmp_path_factory.mktemp("data") / "pairs")


def changed(written: Path, folder: Path, change: Callable[[list[Row]], object]) -> Path:
    """A copy of the pairs whose rows are changed."""
    path = Path(shutil.copytree(written.parent, folder)) / written.name
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_pairs_are_read_as_they_were_written(written: Path) -> None:
    data = PairFile.load(written)
    assert [one.study_id for one in data.val] == ["study-0", "study-1", "study-2"]
    assert len(data.train) == 9 and data.about["strategy"] == "findings"
    one = data.train[0]
    assert one.kind == "over-reliance" and one.patient_id == "patient-3"
    assert one.prompt.count("\n") > 3  # as it stands, not on one line
    assert one.answer.endswith("[1]") and one.rejected == "Findings: No pneumothorax."
    assert one.canvas is not None and data.canvas(one.canvas).size == (56, 28)
    row = json.loads(written.read_text().splitlines()[0])
    assert {"kind", "split", "image", "chosen", "rejected", "scores"} <= row.keys()


def test_the_digest_is_of_texts_images_and_split(written: Path, tmp_path: Path) -> None:
    before = PairFile.load(written).about["data_sha256"]
    same = changed(written, tmp_path / "same", lambda rows: None)
    assert PairFile.load(same).about["data_sha256"] == before

    def moved(rows: list[Row]) -> None:
        rows[3]["split"] = "val"

    def worded(rows: list[Row]) -> None:
        rows[3]["rejected"] += " No effusion."

    for number, change in enumerate((moved, worded, lambda rows: rows.pop())):
        path = changed(written, tmp_path / str(number), change)
        assert PairFile.load(path).about["data_sha256"] != before
    image = json.loads(same.read_text().splitlines()[5])["image"]
    (same.parent / image).write_bytes(encode_canvas(drawn_canvas(1, 77)))
    assert PairFile.load(same).about["data_sha256"] != before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"chosen": ["a", "b"]}, "column 'chosen': it is no text"),
        ({"rejected": None}, "column 'rejected': it is missing"),
        ({"prompt": " \n"}, "column 'prompt': it is empty"),
        ({"rejected": " Findings: The heart is enlarged. [1]"}, "it is the chosen answer"),
        ({"split": "test"}, "it is 'test': pairs are of train or val"),
        ({"kind": "liked"}, "it is 'liked': pairs are of reward or over-reliance"),
        ({"image": "images/none.jpg"}, "images/none.jpg does not exist"),
        ({"image": "pairs.json"}, "pairs.json cannot be read"),
        ({"image": 7}, "it names no image"),
    ],
)
def test_a_bad_row_is_counted_and_named(
    written: Path, tmp_path: Path, change: Row, reason: str
) -> None:
    path = changed(written, tmp_path / "pairs", lambda rows: rows[4].update(change))
    with pytest.raises(UserError, match=r"1 of 12 rows .* line 5: .*--skip-bad") as caught:
        PairFile.load(path)
    assert reason in str(caught.value)
    listed = tmp_path / "run" / "bad_rows.csv"
    assert len(PairFile.load(path, skip_bad=True, bad_rows=listed).train) == 8
    [row] = csv.DictReader(listed.read_text().splitlines())
    assert row["row"] == "line 5"


def test_a_line_that_is_no_object_is_a_bad_row(written: Path, tmp_path: Path) -> None:
    path = changed(written, tmp_path / "pairs", lambda rows: None)
    path.write_text(path.read_text() + '{"kind": "rew\n[1]\n')
    with pytest.raises(UserError, match=r"2 of 14 rows .*not JSON.*no object with columns"):
        PairFile.load(path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"study_id": "study-0"}, "study study-0"),  # validates
        ({"patient_id": "patient-1"}, "patient patient-1"),
        ({"study_id": "study-100"}, "study study-100"),  # listed as held out
        ({"patient_id": "patient-100"}, "patient patient-100"),
    ],
)
def test_what_is_held_out_is_never_trained_on(
    written: Path, tmp_path: Path, change: Row, named: str
) -> None:
    path = changed(written, tmp_path / "pairs", lambda rows: rows[5].update(change))
    with pytest.raises(UserError, match=rf"train on what is held out \({named}"):
        PairFile.load(path)


def test_an_image_of_val_is_never_trained_on(written: Path, tmp_path: Path) -> None:
    def share(rows: list[Row]) -> None:
        rows[5]["image"] = rows[-1]["image"]

    with pytest.raises(UserError, match=r"train on what is held out \(image"):
        PairFile.load(changed(written, tmp_path / "pairs", share))


def test_what_is_no_file_of_pairs_is_refused(written: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="make pairs with finetune pairs"):
        PairFile.load(tmp_path / "pairs.jsonl")
    alone = Path(shutil.copy(written, tmp_path / "alone.jsonl"))
    with pytest.raises(NotFoundError, match=r"alone\.json is missing"):
        PairFile.load(alone)
    with pytest.raises(NotFoundError, match=r"name the pairs\.jsonl"):
        PairFile.load(Path(shutil.copy(written, tmp_path / "pairs.txt")))
    empty = changed(written, tmp_path / "empty", lambda rows: rows.clear())
    with pytest.raises(UserError, match="has no pair to train on"):
        PairFile.load(empty)
