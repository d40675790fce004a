"""Nothing that is validated with is trained on, however it is called."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from db.errors import UserError
from finetune.dataset.examples import DatasetExamples
from finetune.dataset.rows import Columns
from indexer.encoder.spec import Encoder
from indexer.sources.hold_out import HoldOut
from tests.support.datasets import write_images, write_lines
from tests.support.fakes import ThumbnailEncoder
from tests.support.radiographs import draw_radiograph

BY_PATIENT = HoldOut.of("patient:0.25")


def load(folder: Path, **more: Any) -> DatasetExamples:
    given: dict[str, Any] = {"encoder": ThumbnailEncoder, **more}
    return DatasetExamples.load(str(folder), Columns(), side=32, **given)


def write(folder: Path, train: Sequence[Any], val: Sequence[Any] | None = None) -> Path:
    write_lines(folder / "train.jsonl", train)
    if val is not None:
        write_lines(folder / "val.jsonl", val)
    return folder


def row(image: str, text: str = "Clear.", **more: Any) -> dict[str, Any]:
    return {"image": image, "text": text, **more}


def images_of(data: DatasetExamples, split: str) -> set[str]:
    examples = data.train if split == "train" else data.val
    return {
        data.images.files[image].name
        for example in examples
        for image in data.images.studies[example.canvas or 0]
    }


def test_a_val_split_with_the_images_of_train_is_refused_by_name(tmp_path: Path) -> None:
    names = write_images(tmp_path, 4)
    val = [row(name, "Other words.") for name in names[:2]]
    write(tmp_path, [row(name) for name in names[:3]], [*val, row(names[3])])
    with pytest.raises(UserError, match=r"2 of 3 images of the val split .*--hold-out") as refused:
        load(tmp_path)
    assert "image-0.png, image-1.png" in str(refused.value)


def test_the_same_pixels_in_another_file_are_the_same_image(tmp_path: Path) -> None:
    names = write_images(tmp_path, 2)
    with Image.open(tmp_path / names[0]) as image:
        image.save(tmp_path / "again.bmp")
    write(tmp_path, [row(name) for name in names], [row("again.bmp")])
    with pytest.raises(UserError, match=r"1 of 1 images of the val split .*again.bmp"):
        load(tmp_path)


@pytest.mark.parametrize("change", ["smaller", "jpeg", "brighter"])
def test_a_near_duplicate_of_a_train_image_is_refused(tmp_path: Path, change: str) -> None:
    names = write_images(tmp_path, 2, size=(320, 280))
    with Image.open(tmp_path / names[0]) as image:
        if change == "smaller":
            image.resize((240, 210)).save(tmp_path / "again.png")
        elif change == "jpeg":
            image.save(tmp_path / "again.jpg", quality=90)
        else:
            image.point(lambda level: min(255, level + 6)).save(tmp_path / "again.png")
    (again,) = tmp_path.glob("again.*")
    write(tmp_path, [row(name) for name in names], [row(again.name)])
    with pytest.raises(
        UserError, match=r"as near duplicates, also in train \(again.* like image-0"
    ):
        DatasetExamples.load(str(tmp_path), Columns(), side=32)  # by the shipped encoder


def test_images_of_different_people_are_no_near_duplicates(tmp_path: Path) -> None:
    names = write_images(tmp_path, 12, size=(320, 280))
    write(tmp_path, [row(name) for name in names[:8]], [row(name) for name in names[8:]])
    data = DatasetExamples.load(str(tmp_path), Columns(), side=32)
    assert len(data.val) == 4


def test_one_view_in_common_is_enough(tmp_path: Path) -> None:
    names = write_images(tmp_path, 3)
    train = [{"images": names[:2], "text": "Clear."}]
    write(tmp_path, train, [{"images": names[1:], "text": "Clear."}])
    with pytest.raises(UserError, match=r"1 of 2 images .*image-1.png"):
        load(tmp_path)


@pytest.mark.parametrize("column", ["patient_id", "subject_id", "Patient ID", "PatientID"])
def test_a_patient_in_train_and_val_is_refused(tmp_path: Path, column: str) -> None:
    names = write_images(tmp_path, 3)
    train = [row(name, **{column: number}) for number, name in enumerate(names[:2])]
    write(tmp_path, train, [row(names[2], **{column: "1"})])
    with pytest.raises(UserError, match=r"1 of 1 patients of the val split .*\(1\)"):
        load(tmp_path)


def test_texts_of_train_in_val_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = write_images(tmp_path, 4)
    train = [row(name, "The lungs are clear.") for name in names[:2]]
    write(tmp_path, train, [row(names[2], "the lungs are clear"), row(names[3], "Effusion.")])
    load(tmp_path)
    assert "1 of 2 val texts are also in train, word for word" in caplog.text


def test_patients_are_held_out_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = write_images(tmp_path, 24)
    rows = [row(name, patient_id=f"p{number // 3}") for number, name in enumerate(names)]
    data = load(write(tmp_path, rows), hold_out=BY_PATIENT)
    patient = {name: number // 3 for number, name in enumerate(names)}
    train, val = ({patient[n] for n in images_of(data, split)} for split in ("train", "val"))
    assert train and val and not train & val
    assert len(data.val) == 3 * len(val)
    assert "images of one patient may be" not in caplog.text
    again = load(write(tmp_path, [*rows[6:], *rows[:6]]), hold_out=BY_PATIENT)
    assert images_of(again, "val") == images_of(data, "val")


def test_a_share_replaces_a_val_split_that_is_named(tmp_path: Path) -> None:
    names = write_images(tmp_path, 8)
    rows = [row(name, patient_id=f"p{number // 2}") for number, name in enumerate(names)]
    data = load(write(tmp_path, rows[:6], [*rows[4:], rows[0]]), hold_out=BY_PATIENT)
    assert not images_of(data, "train") & images_of(data, "val")
    assert len(data.train) + len(data.val) == 11


def test_patients_that_share_an_image_are_held_out_together(tmp_path: Path) -> None:
    names = write_images(tmp_path, 8)
    rows = [row(name, patient_id=f"p{number}") for number, name in enumerate(names)]
    rows += [row(names[number + 1], "Again.", patient_id=f"p{number}") for number in range(6)]
    data = load(write(tmp_path, rows), hold_out=HoldOut.of("patient:0.5"))
    assert not images_of(data, "train") & images_of(data, "val")


def test_near_duplicates_are_held_out_together(tmp_path: Path) -> None:
    names = write_images(tmp_path, 10)
    for name in names:
        with Image.open(tmp_path / name) as image:
            image.save(tmp_path / name.replace(".png", ".jpg"), quality=95)
    pairs = [*names, *(name.replace(".png", ".jpg") for name in names)]
    rows = [row(name, patient_id=name) for name in pairs]
    data = load(write(tmp_path, rows), hold_out=BY_PATIENT)
    train, val = ({n.partition(".")[0] for n in images_of(data, s)} for s in ("train", "val"))
    assert train and val and not train & val


def test_a_warning_says_that_patients_are_unknown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = write_images(tmp_path, 3)
    load(write(tmp_path, [row(name) for name in names[:2]], [row(names[2])]))
    assert "no patient column is known (name one with --patient-column)" in caplog.text


def test_an_empty_patient_is_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = write_images(tmp_path, 3)
    rows = [row(name, patient_id=who) for name, who in zip(names, ("a", None, ""), strict=True)]
    load(write(tmp_path, rows[:2], rows[2:]))
    assert "2 examples have no patient" in caplog.text


def test_patients_without_a_column_cannot_be_held_out(tmp_path: Path) -> None:
    (name,) = write_images(tmp_path, 1)
    write(tmp_path, [row(name)])
    with pytest.raises(UserError, match=r"no patient column that is known: .*--patient-column"):
        load(tmp_path, hold_out=BY_PATIENT)
    write(tmp_path, [row(name, patient_id="p")])
    with pytest.raises(UserError, match="one patient only"):
        load(tmp_path, hold_out=BY_PATIENT)


@pytest.mark.parametrize("text", ["patient", "patient:0", "patient:1", "study:0.1", "0.1", "x:y"])
def test_a_share_that_is_none_is_named(text: str) -> None:
    with pytest.raises(UserError, match=r"such as patient:0.1, not") as refused:
        HoldOut.of(text)
    assert str(refused.value).endswith(text)


def test_a_run_of_another_split_is_another_run(tmp_path: Path) -> None:
    names = write_images(tmp_path, 4)
    rows = [row(name) for name in names]
    one = load(write(tmp_path / "one", rows[:2], rows[2:3]) and _with_images(tmp_path, "one"))
    other = load(write(tmp_path / "other", rows[:1], rows[1:3]) and _with_images(tmp_path, "other"))
    assert one.about["data_sha256"] != other.about["data_sha256"]


def _with_images(folder: Path, name: str) -> Path:
    write_images(folder / name, 4)
    return folder / name


def test_without_an_encoder_near_duplicates_are_said_to_be_unknown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> Encoder:
        raise ImportError("No module named 'open_clip'")

    image = draw_radiograph(0, size=(96, 80))
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(np.where(image < 255, image + 1, image)).save(tmp_path / "b.png")
    load(write(tmp_path, [row("a.png")], [row("b.png")]), encoder=missing)
    assert "near duplicates of val images are not looked for" in caplog.text


def test_equal_images_are_refused_without_an_encoder(tmp_path: Path) -> None:
    def missing() -> Encoder:
        raise ImportError("No module named 'open_clip'")

    names = write_images(tmp_path, 2)
    write(tmp_path, [row(name) for name in names], [row(names[0], "Other words.")])
    with pytest.raises(UserError, match=r"1 of 1 images .* are also in train \(image-0.png\)"):
        load(tmp_path, encoder=missing)


def test_rows_say_which_columns_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (name,) = write_images(tmp_path, 1)
    load(write(tmp_path, [row(name, subject_id=json.dumps(7))]))
    assert "train: images of 'image'; texts of 'text'; patients of 'subject_id'" in caplog.text
