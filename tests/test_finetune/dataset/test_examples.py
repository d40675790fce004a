import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from db.errors import NotFoundError, UserError
from finetune.__main__ import main
from finetune.dataset.examples import DatasetExamples
from finetune.dataset.rows import Columns
from finetune.dataset.splits import find_splits
from generator.prompts import PROMPT_VERSION
from generator.study_canvas import study_canvas
from indexer.images.reader import read_radiograph
from tests.support.models.training import SETTINGS, quiet, tiny_base
from tests.support.radiographs import draw_radiograph

SIDE = 28


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def write_images(folder: Path, count: int = 3, size: tuple[int, int] = (90, 70)) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"image-{number}.png" for number in range(count)]
    for number, name in enumerate(names):
        Image.fromarray(draw_radiograph(number)).resize(size).save(folder / name)
    return names


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw_radiograph(seed)).resize((40, 50)).save(buffer, "PNG")
    return buffer.getvalue()


def load(path: Path | str, columns: Columns | None = None, **more: Any) -> DatasetExamples:
    return DatasetExamples.load(str(path), columns or Columns(), side=SIDE, **more)


def test_images_with_texts_become_reports_without_prior_cases(tmp_path: Path) -> None:
    names = write_images(tmp_path / "images")
    rows = [{"image": name, "text": f"Image {name} is clear."} for name in names]
    data = load(write_lines(tmp_path / "train.jsonl", rows))
    assert [example.answer for example in data.train] == [row["text"] for row in rows]
    first = data.train[0]
    assert first.task == "report" and first.prompt.startswith("Prior cases: none")
    assert data.about["prompt_version"] == PROMPT_VERSION
    again = load(write_lines(tmp_path / "other.jsonl", rows))
    assert again.about["data_sha256"] == data.about["data_sha256"]
    Image.fromarray(draw_radiograph(9)).save(tmp_path / "images" / names[0])
    changed = load(write_lines(tmp_path / "third.jsonl", rows))
    assert changed.about["data_sha256"] != data.about["data_sha256"]


def test_an_image_lies_on_a_black_square_in_grey_with_its_aspect_kept(tmp_path: Path) -> None:
    red = np.zeros((40, 80, 3), np.uint8)
    red[:, 2:, 0] = 200
    Image.fromarray(red).save(tmp_path / "red.png")
    rows = [{"image": "red.png", "text": "Red."}]
    square = np.asarray(load(write_lines(tmp_path / "a.jsonl", rows)).canvas(0))
    assert square.shape == (SIDE, SIDE, 3)
    assert square[SIDE // 2, 2:].tolist() == [[60, 60, 60]] * (SIDE - 2)
    assert not square[:6].any() and not square[-6:].any()


def test_arrays_of_a_data_set_are_images(tmp_path: Path) -> None:
    eight = draw_radiograph(3)
    given = datasets.Dataset.from_dict(
        {"image": [eight.tolist()], "text": ["Clear."]},
        features=datasets.Features(
            {"image": datasets.Array2D(eight.shape, "uint8"), "text": datasets.Value("string")}
        ),
    )
    given.to_parquet(tmp_path / "train.parquet")
    data = load(tmp_path / "train.parquet")
    Image.fromarray(eight).save(tmp_path / "eight.png")
    assert np.array_equal(
        np.asarray(data.canvas(0)),
        np.asarray(study_canvas([read_radiograph(tmp_path / "eight.png").pixels], SIDE)),
    )
    lines = write_lines(tmp_path / "bad.jsonl", [{"image": [["a"]], "text": "Clear."}])
    with pytest.raises(
        UserError, match=r"bad.jsonl, line 1: column 'image': the image a does not exist"
    ):
        load(lines)


def test_json_parquet_and_other_columns_are_read(tmp_path: Path) -> None:
    names = write_images(tmp_path)
    rows = [{"picture": name, "said": "Clear.", "asked": "Is it clear?"} for name in names]
    (tmp_path / "data.json").write_text(json.dumps(rows))
    columns = Columns(image="picture", text="said", question="asked")
    data = load(tmp_path / "data.json", columns)
    assert data.train[0].task == "ask" and "Is it clear?" in data.train[0].prompt
    embedded = datasets.Dataset.from_list(
        [{"image": {"bytes": png(n), "path": None}, "text": f"Image {n}."} for n in range(3)]
    ).cast_column("image", datasets.Image())
    embedded.to_parquet(tmp_path / "train.parquet")
    data = load(tmp_path / "train.parquet")
    assert len(data.images.files) == 3 and data.canvas(2).size == (SIDE, SIDE)


def test_vqa_rad_and_slake_are_read_as_they_are_published(tmp_path: Path) -> None:
    rad, slake = tmp_path / "rad", tmp_path / "slake"
    names = write_images(rad / "VQA_RAD Image Folder")
    rows = [
        {"image_name": names[0], "question": "How many?", "answer": 2, "answer_type": "OPEN"},
        {"image_name": names[1], "question": "Clear?", "answer": "Yes", "answer_type": "CLOSED"},
    ]
    (rad / "VQA_RAD Dataset Public.json").write_text(json.dumps(rows))
    assert [example.answer for example in load(rad).train] == ["2", "Yes"]
    for number, size in enumerate([(50, 50), (60, 60)]):
        write_images(slake / "imgs" / f"xmlab{number}", number + 1, size)
    for split, number in (("train", 0), ("validate", 1), ("test", 1)):
        asked = [
            {
                "img_name": f"xmlab{number}/image-{number}.png",
                "question": q,
                "answer": a,
                "q_lang": lang,
            }
            for q, a, lang in (("Which organ?", "Lung", "en"), ("?", "x", "zh"))
        ]
        (slake / f"{split}.json").write_text(json.dumps(asked))
    data = load(slake)
    assert [e.answer for e in data.train] == ["Lung"] == [e.answer for e in data.val]
    assert data.train[0].canvas != data.val[0].canvas


def test_the_vqa_rad_questions_at_hand_are_all_read(data_dir: Path) -> None:
    data = load(data_dir / "vqa_rad")
    assert len(data.train) + len(data.val) == 403 and len(data.images.files) == 60


def test_without_a_val_split_whole_images_are_held_out(tmp_path: Path) -> None:
    names = write_images(tmp_path, 40, size=(40, 40))
    rows = [{"image": n, "text": f"{n} {w}."} for n in names for w in ("clear", "normal")]
    data = load(write_lines(tmp_path / "train.jsonl", rows))
    assert 0 < len(data.val) < 20 and len(data.train) + len(data.val) == 80
    assert not {e.canvas for e in data.val} & {e.canvas for e in data.train}


def test_a_hub_data_set_is_streamed_as_far_as_it_is_wanted() -> None:
    asked = []

    def hub(name: str, *, streaming: bool) -> dict[str, Any]:
        asked.append((name, streaming))
        rows = [{"image": {"bytes": png(n), "path": None}, "text": "Clear."} for n in range(5)]
        given = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
        return {"train": given.to_iterable_dataset() if streaming else given, "test": given}

    splits = find_splits("owner/name", stream=True, loader=hub)
    assert splits.keys() == {"train"}
    rows = splits["train"].rows()
    place, row = next(rows)
    assert str(place) == "owner/name (train), row 1" and row["image"]["bytes"] == png(0)
    assert len(list(find_splits("owner/name", loader=hub)["train"].rows())) == 5
    assert asked == [("owner/name", True), ("owner/name", False)]


def bad_rows(folder: Path) -> list[dict[str, Any]]:
    names = write_images(folder, 3)
    (folder / "broken.png").write_bytes(b"no image")
    Image.new("L", (8, 8)).save(folder / "tiny.png")
    return [
        {"image": names[0], "text": "Clear."},
        {"image": "missing.png", "text": "Clear."},
        {"image": names[1], "text": "  "},
        {"image": names[2], "text": None},
        {"image": None, "text": "Clear."},
        {"image": "broken.png", "text": "Clear."},
        {"image": "tiny.png", "text": "Clear."},
    ]


def test_missing_images_and_empty_texts_are_named_with_the_cure(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "train.jsonl", bad_rows(tmp_path))
    with pytest.raises(UserError) as refused:
        load(path)
    said = str(refused.value)
    assert (
        "6 of 7 rows" in said
        and "train.jsonl, line 2: column 'image': the image missing.png does not exist" in said
    )
    assert "train.jsonl, line 3: column 'text': it is empty" in said and "and 3 more" in said
    assert "fix them, or skip them with --skip-bad" in said


def test_bad_rows_are_left_out_where_that_is_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_lines(tmp_path / "train.jsonl", bad_rows(tmp_path))
    data = load(path, skip_bad=True)
    assert len(data.train) + len(data.val) == 1
    assert "6 of 7 rows" in caplog.text


def test_a_warning_names_images_of_mixed_sizes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = write_images(tmp_path, 2)
    Image.fromarray(draw_radiograph(5)).resize((60, 60)).save(tmp_path / names[1])
    rows = [{"image": name, "text": "Clear."} for name in names]
    with caplog.at_level(logging.WARNING):
        load(write_lines(tmp_path / "train.jsonl", rows))
    assert "images of 2 sizes, from 60 x 60 to 90 x 70" in caplog.text
    assert "resize them yourself" in caplog.text


def test_a_question_that_serving_would_refuse_is_named(tmp_path: Path) -> None:
    (name,) = write_images(tmp_path, 1)
    rows = [{"image": name, "question": "why " * 100, "answer": "so"}]
    with pytest.raises(
        UserError,
        match=r"train.jsonl, line 1: column 'question': a question may have 300 characters",
    ):
        load(write_lines(tmp_path / "train.jsonl", rows))


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        (Columns(image="film"), "no column called 'film' among image, text: .* --image-column"),
        (Columns(text="report"), "no column called 'report' .* --text-column"),
        (Columns(question="asked"), "no column called 'asked' .* --question-column"),
    ],
)
def test_a_column_that_is_not_there_is_named(tmp_path: Path, columns: Columns, named: str) -> None:
    (name,) = write_images(tmp_path, 1)
    path = write_lines(tmp_path / "train.jsonl", [{"image": name, "text": "Clear."}])
    with pytest.raises(UserError, match=named):
        load(path, columns)


def test_what_is_no_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        load(tmp_path / "none.jsonl")
    with pytest.raises(NotFoundError, match="holds no train"):
        load(tmp_path)
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(UserError, match="convert it"):
        load(tmp_path / "notes.txt")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read as a data set"):
        load(tmp_path / "broken.json")


@quiet
def test_a_data_set_is_trained_on_from_the_command_line(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = write_images(tmp_path / "images", 4)
    rows = [{"film": name, "text": "The lungs are clear."} for name in names]
    path = write_lines(tmp_path / "train.jsonl", rows)
    out = tmp_path / "adapter"
    arguments = ["train", "--base", str(tiny_base(tmp_path_factory)), "--device", "cpu"]
    data = ["--dataset", str(path), "--image-column", "film", "--out", str(out)]
    assert main([*arguments, *data, "--set", *SETTINGS, "max_steps=1"]) == 0
    record = json.loads((out / "adapter_record.json").read_text())
    assert record["index_fingerprint"] is None and len(record["data_sha256"]) == 64
