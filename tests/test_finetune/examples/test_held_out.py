"""Patients held out where no split for validation is named."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from db.errors import MismatchError, UserError
from finetune.examples import indexes as index_examples
from finetune.examples.folder import ExampleFolder
from finetune.examples.indexes import pack_indexes
from finetune.examples.options import ExampleOptions
from indexer.build import build
from indexer.sources.hold_out import HoldOut
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.cases import words
from tests.support.fakes import ReportEncoder, write_studies

BONES = (
    "rib spine sternum scapula clavicle humerus manubrium xiphoid skull ulna radius fibula".split()
)


def test_a_held_out_patient_is_validated_with_and_never_shown_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_studies(tmp_path, 12, per_patient=2)
    studies = [json.loads(line) for line in path.read_text().splitlines()]
    for study, bone in zip(studies, BONES, strict=True):
        study["findings"] = f"The lungs are clear. The {bone} is intact."
    path.write_text("".join(json.dumps(study) + "\n" for study in studies))
    build(JsonLines(path), ReportEncoder(), tmp_path / "index")
    opened = SimpleNamespace(open=lambda place: Retriever.open(place, ReportEncoder()))
    monkeypatch.setattr(index_examples, "Retriever", opened)
    monkeypatch.setattr(index_examples, "VAL_SHARE", 3)

    options = ExampleOptions(passes=4, empty=0, distracted=1.0)
    pack = pack_indexes([tmp_path / "index"], options=options, side=16, count_tokens=words)

    held = {example.study_id for example in pack.val}
    assert held == {"s4", "s5", "s10", "s11"}
    assert {example.study_id for example in pack.train} == {f"s{n}" for n in range(12)} - held
    shown = " ".join(example.prompt for example in pack.train)
    assert [bone for bone in BONES if f"The {bone} is" not in shown] == [
        BONES[int(study_id[1:])] for study_id in sorted(held, key=lambda one: int(one[1:]))
    ]


def studies(folder: Path, numbers: range, **changed: str | None) -> Path:
    """Drawn studies of one patient each, with these numbers."""
    path = write_studies(folder, numbers.stop)
    lines = [json.loads(line) | changed for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(lines[number]) + "\n" for number in numbers))
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Studies s0 to s11 of patients p0 to p11."""
    build(JsonLines(studies(tmp_path / "train", range(12))), ReportEncoder(), tmp_path / "index")
    opened = SimpleNamespace(open=lambda place: Retriever.open(place, ReportEncoder()))
    monkeypatch.setattr(index_examples, "Retriever", opened)
    return tmp_path / "index"


def packed(index: Path, **more: Any) -> ExampleFolder:
    options = ExampleOptions(passes=1)
    return pack_indexes([index], options=options, side=16, count_tokens=words, **more)


def test_a_val_study_of_an_indexed_patient_is_refused(index: Path, tmp_path: Path) -> None:
    own = JsonLines(studies(tmp_path / "val", range(20, 22), patient_id="p3"))
    with pytest.raises(MismatchError, match=r"study s20 .* its patient p3 is in .*--hold-out"):
        packed(index, val_source=own)


def test_an_indexed_image_under_another_name_is_refused(index: Path, tmp_path: Path) -> None:
    path = studies(tmp_path / "val", range(1))
    path.write_text(path.read_text().replace('"s0"', '"v"').replace('"p0"', '"new"'))
    with pytest.raises(MismatchError, match=r"study v .* has the same image in study s0"):
        packed(index, val_source=JsonLines(path))
    with Image.open(tmp_path / "val" / "0.png") as image:
        image.point(lambda level: min(255, level + 3)).save(tmp_path / "val" / "0.png")
    with pytest.raises(MismatchError, match=r"study v .* near duplicate of the image in study s0"):
        packed(index, val_source=JsonLines(path))


def test_a_val_split_of_new_patients_is_taken(index: Path, tmp_path: Path) -> None:
    own = JsonLines(studies(tmp_path / "val", range(20, 22)))
    assert {example.study_id for example in packed(index, val_source=own).val} == {"s20", "s21"}
    with pytest.raises(UserError, match="name a val split or --hold-out, not both"):
        packed(index, val_source=own, hold_out=HoldOut())


def test_a_share_of_the_patients_is_held_out(index: Path) -> None:
    pack = packed(index, hold_out=HoldOut.of("patient:0.25"))
    held = {example.study_id for example in pack.val}
    assert 1 <= len(held) <= 6
    assert {one.study_id for one in pack.train} == {f"s{n}" for n in range(12)} - held
    with pytest.raises(UserError, match="is held out by patient"):
        packed(index, hold_out=HoldOut.of("image:0.25"))


def test_a_near_duplicate_of_another_patient_is_held_out_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = studies(tmp_path / "train", range(12))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (tmp_path / "train" / "again.png").write_bytes((tmp_path / "train" / "9.png").read_bytes())
    lines[2] |= {"image": "again.png", "patient_id": None}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    build(JsonLines(path), ReportEncoder(), tmp_path / "index")
    opened = SimpleNamespace(open=lambda place: Retriever.open(place, ReportEncoder()))
    monkeypatch.setattr(index_examples, "Retriever", opened)
    monkeypatch.setattr(index_examples, "VAL_SHARE", 11)  # of p0, p1, p10, p11, p3 ... p9, s2: p9
    held = {example.study_id for example in packed(tmp_path / "index").val}
    assert held == {"s9", "s2"}
    assert "1 studies have no patient id" in caplog.text
