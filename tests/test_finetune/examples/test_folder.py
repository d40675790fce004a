"""Examples in one directory: back as they were written, or refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from db.errors import NotFoundError, UserError
from finetune.examples.folder import Example, ExampleFolder, encode_canvas
from tests.support.models.mllama_models import drawn_canvas


def a_pack() -> ExampleFolder:
    files = [np.frombuffer(encode_canvas(drawn_canvas(n, n)), np.uint8) for n in (1, 2)]
    return ExampleFolder(
        train=[
            Example(task="report", study_id="s1", prompt="Tell\n“so”", answer="Yes. [1]", canvas=1),
            Example(task="ask", study_id="s2", prompt="Why?", answer="No."),
        ],
        val=[Example(task="caption", study_id="s3", prompt="Say.", answer="Fine.", canvas=0)],
        about={"prompt_version": "prompts-4", "side": 28},
        canvas_data=np.concatenate(files),
        canvas_ends=np.cumsum([len(file) for file in files]),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    a_pack().save(tmp_path / "pack")
    return tmp_path / "pack"


def test_examples_are_loaded_as_they_were_saved(folder: Path) -> None:
    pack, written = ExampleFolder.load(folder), a_pack()
    assert (pack.train, pack.val) == (written.train, written.val)
    assert pack.canvases == 2
    for number in range(2):
        assert pack.canvas(number).mode == "RGB"
        assert pack.canvas(number).tobytes() == written.canvas(number).tobytes()
    assert [pack.canvas(number).size for number in range(2)] == [(28, 28), (56, 28)]
    assert pack.about["side"] == 28


def test_a_stored_canvas_is_grey_and_close_to_the_original() -> None:
    image = drawn_canvas(2, 1)
    found = np.asarray(a_pack().canvas(1), np.float32)
    assert (found[..., 0] == found[..., 2]).all()
    packed = np.asarray(drawn_canvas(2, 2).convert("L"), np.float32)
    assert np.abs(found[..., 0] - packed).mean() < 6
    assert np.abs(found[..., 0] - np.asarray(image.convert("L"), np.float32)).mean() > 6


def test_the_same_examples_have_the_same_digest(folder: Path, tmp_path: Path) -> None:
    a_pack().save(tmp_path / "again")
    digests = [ExampleFolder.load(tmp_path / n).about["data_sha256"] for n in ("pack", "again")]
    assert digests[0] == digests[1]


def test_examples_without_images_can_be_saved(tmp_path: Path) -> None:
    example = Example(task="ask", study_id="s", prompt="Why?", answer="So.")
    ExampleFolder(train=[example], val=[], about={}).save(tmp_path / "pack")
    pack = ExampleFolder.load(tmp_path / "pack")
    assert (pack.train, pack.val, pack.canvases) == ([example], [], 0)


@pytest.mark.parametrize("name", ["train.jsonl", "val.jsonl"])
def test_a_changed_answer_is_found(folder: Path, name: str) -> None:
    path = folder / name
    path.write_text(path.read_text().replace('"answer": "', '"answer": "No. '))
    with pytest.raises(
        UserError, match="was changed since it was written: create the examples again"
    ):
        ExampleFolder.load(folder)


def test_a_changed_image_is_found(folder: Path) -> None:
    path = folder / "canvases.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="create the examples again"):
        ExampleFolder.load(folder)


@pytest.mark.parametrize("name", ["train.jsonl", "val.jsonl", "canvases.npz", "pack.json"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"[1]", b"\xff\xfe", b'{"a": 1}'])
def test_a_damaged_file_is_refused_with_the_cure(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match="create the examples again"):
        ExampleFolder.load(folder)


@pytest.mark.parametrize("name", ["train.jsonl", "val.jsonl", "canvases.npz"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UserError, match="create the examples again"):
        ExampleFolder.load(folder)


def test_a_folder_without_examples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="finetune examples"):
        ExampleFolder.load(tmp_path)


def test_a_folder_without_examples_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is not an examples folder"):
        a_pack().save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_saving_replaces_the_whole_folder_and_leaves_no_temporary_files(folder: Path) -> None:
    ExampleFolder(train=[], val=[], about={"side": 1}).save(folder)
    assert ExampleFolder.load(folder).train == []
    assert [one.name for one in folder.parent.iterdir()] == ["pack"]
    assert json.loads((folder / "pack.json").read_text())["side"] == 1
