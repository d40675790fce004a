"""R2Gen's annotation file and LLaVA conversations."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from db.errors import UserError
from indexer.sources.catalogue import open_source
from indexer.sources.jsonl import JsonLines
from indexer.sources.llava import LlavaConversations
from indexer.sources.records import NO_TEXT, Record, SkippedStudy, StudyRecord
from indexer.sources.source_options import SourceOptions
from tests.support.builds import build_and_search
from tests.support.radiographs import draw_radiograph


def write(folder: Path, value: Any, name: str = "annotation.json") -> Path:
    (folder / name).write_text(json.dumps(value))
    return folder / name


def read(kind: str, path: Path, **options: Any) -> list[Record]:
    return list(open_source(kind, SourceOptions(data_dir=path, **options)).records())


def talk(*turns: tuple[str, str], **entry: Any) -> dict[str, Any]:
    said = [
        {"from": who, "value": value}
        for question, answer in turns
        for who, value in (("human", question), ("gpt", answer))
    ]
    return {"id": "1", "image": "1.png", "conversations": said, **entry}


def test_the_lists_of_an_r2gen_annotation_are_splits_with_images_beside_it(tmp_path: Path) -> None:
    for name in ("CXR1/0.png", "CXR1/1.png", "CXR2/0.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_radiograph(len(name) + int(path.stem))).save(path)
    entry = {"id": "CXR1", "report": "heart is large .", "image_path": ["CXR1/0.png", "CXR1/1.png"]}
    other = {"id": "CXR2", "report": "lungs are clear .", "image_path": ["CXR2/0.png"]}
    path = write(tmp_path, {"train": [entry], "val": [other], "test": []})
    source = open_source("r2gen", SourceOptions(data_dir=path))
    first, second = source.records()
    assert isinstance(first, StudyRecord) and isinstance(second, StudyRecord)
    assert (first.study_id, first.split, first.findings) == ("CXR1", "train", "heart is large .")
    assert [image.path.is_file() for image in first.images] == [True, True]
    assert source.remarks == (f"images are in {tmp_path / 'images'}",)  # type: ignore[attr-defined]
    [only] = read("r2gen", path, split="val")
    assert only == second
    assert build_and_search(source, tmp_path / "out") == ["CXR1", "CXR2"]


def test_entries_of_one_study_are_one_study_of_its_patient(tmp_path: Path) -> None:
    entries = [
        {"id": name, "study_id": 5, "subject_id": 9, "report": "clear .", "image_path": [name]}
        for name in ("a.jpg", "b.jpg")
    ]
    [study] = read("r2gen", write(tmp_path, {"train": entries}))
    assert isinstance(study, StudyRecord)
    assert (study.study_id, study.patient_id, study.findings) == ("5", "9", "clear .")
    assert [image.path.name for image in study.images] == ["a.jpg", "b.jpg"]


def test_answers_to_requests_for_a_report_are_read_from_conversations(tmp_path: Path) -> None:
    entries = [
        talk(
            ("<image>\nDescribe the findings of the chest x-ray.", "The heart is large."),
            ("What is the impression?", "Cardiomegaly."),
            ("Is there an effusion?", "No."),
        ),
        talk(
            ("Write the radiology report.", "FINDINGS: Clear.\nIMPRESSION: Normal."),
            id="2",
            image=["2.png", "3.png"],
            split="validation",
        ),
        talk(("Which side is the finding on?", "Left."), id="3"),
    ]
    first, second, third = read("llava", write(tmp_path, entries))
    assert isinstance(first, StudyRecord) and isinstance(second, StudyRecord)
    assert (first.findings, first.impression) == ("The heart is large.", "Cardiomegaly.")
    assert (second.findings, second.impression, second.split) == ("Clear.", "Normal.", "val")
    assert [image.path.name for image in second.images] == ["2.png", "3.png"]
    assert third == SkippedStudy(study_id="3", reason=NO_TEXT)


def test_conversations_are_read_line_by_line_too(tmp_path: Path) -> None:
    entry = talk(("Give a report.", "The lungs are clear."))
    (tmp_path / "c.jsonl").write_text(f"{json.dumps(entry)}\n\n")
    source = LlavaConversations(tmp_path / "c.jsonl", name="local")
    assert len(list(source.records())) == len(list(source.records())) == 1


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("r2gen", [], "is not an R2Gen annotation: expected an object with lists under 'train'"),
        ("r2gen", {"train": [{"id": "1"}]}, r"train 1: expected an object with 'id', 'report'"),
        ("r2gen", {"train": [{"report": 5}]}, "train 1: 'report' must be text"),
        ("r2gen", {"train": [{"report": "x", "image_path": [1]}]}, "no path or list of paths"),
        ("llava", {}, "expected a list of conversations"),
        ("llava", [5], "entry 1: expected a JSON object"),
        ("llava", [{"id": 1}], "entry 1: expected 'conversations', a list of turns"),
        ("llava", [{"conversations": [{"from": "gpt"}]}], "expected turns with 'from' and 'value'"),
    ],
)
def test_another_layout_is_refused_with_the_place(
    tmp_path: Path, kind: str, value: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(kind, write(tmp_path, value))


def test_the_json_source_names_the_source_that_reads_such_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="use --source r2gen"):
        list(JsonLines(write(tmp_path, {"train": []})).records())
    with pytest.raises(UserError, match="use --source llava"):
        list(JsonLines(write(tmp_path, [talk(("Give a report.", "Clear."))])).records())
