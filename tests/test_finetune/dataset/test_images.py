"""The image that is trained on is the image that is served, whatever file it is in."""

import base64
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from db.errors import UserError
from finetune.dataset.examples import DatasetExamples
from finetune.dataset.images import encode_image, images_in
from finetune.dataset.rows import Columns
from generator.tasks import TaskRunner
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.query import ImageSource
from retriever.search import Retriever
from tests.support.datasets import png, write_images, write_kinds, write_lines, write_refused
from tests.support.dicoms import write_dicom
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.models.scripted_model import ScriptedModel
from tests.support.radiographs import draw_radiograph


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> TaskRunner:
    folder = tmp_path_factory.mktemp("service")
    build(JsonLines(write_studies(folder, 2)), ThumbnailEncoder(), folder / "index")
    retriever = Retriever.open(folder / "index", ThumbnailEncoder())
    return TaskRunner(retriever, ScriptedModel(lambda prompt: "Clear."))


def served(service: TaskRunner, *images: ImageSource) -> np.ndarray:
    """The pixels that the service shows to the model."""
    shown = service.retrieve(images).image
    assert shown is not None
    return np.asarray(shown)


def load(path: Path, **more: Any) -> DatasetExamples:
    return DatasetExamples.load(str(path), Columns(), side=32, **more)


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_training_sees_the_pixels_that_are_served_of_every_kind_of_file(
    service: TaskRunner, tmp_path: Path
) -> None:
    files = write_kinds(tmp_path / "films")
    assert len(files) >= 20
    rows = [{"image": f"films/{name}", "text": f"Says {name}."} for name in files]
    named = load(write_lines(tmp_path / "named.jsonl", rows))
    in_text = [{"image": encoded(path), "text": "Clear."} for path in files.values()]
    written = load(write_lines(tmp_path / "base64.jsonl", in_text))
    address = "data:application/octet-stream;base64,"
    chats = [
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": address + encoded(path)}},
                        {"type": "text", "text": "Is it clear?"},
                    ],
                },
                {"role": "assistant", "content": "Yes."},
            ]
        }
        for path in files.values()
    ]
    asked = load(write_lines(tmp_path / "chats.jsonl", chats))
    datasets.Dataset.from_list(
        [{"image": path.read_bytes(), "text": "Clear."} for path in files.values()]
    ).to_parquet(tmp_path / "train.parquet")
    stored = load(tmp_path / "train.parquet")
    for number, (name, path) in enumerate(files.items()):
        wanted = served(service, path)
        assert wanted.max() > 60, name
        for data in (named, written, asked, stored):
            assert np.array_equal(np.asarray(data.canvas(number)), wanted), name


def test_what_the_service_refuses_is_a_bad_row(service: TaskRunner, tmp_path: Path) -> None:
    refused = write_refused(tmp_path)
    (good,) = write_images(tmp_path, 1)
    for path in refused.values():
        with pytest.raises(UserError):
            service.retrieve([path])
    rows = [{"image": name, "text": "Clear."} for name in (good, *refused)]
    path = write_lines(tmp_path / "train.jsonl", rows)
    with pytest.raises(UserError, match=f"{len(refused)} of {len(rows)} rows"):
        load(path, bad_rows=tmp_path / "bad.csv")
    listed = (tmp_path / "bad.csv").read_text()
    assert all(name in listed for name in refused) and good not in listed
    assert len(load(path, skip_bad=True).train) == 1


def test_the_views_of_a_study_are_shown_as_the_service_shows_them(
    service: TaskRunner, tmp_path: Path
) -> None:
    side = draw_radiograph(1, size=(96, 80), view="LATERAL")
    write_dicom(tmp_path / "side.dcm", side, ViewPosition="LL")
    write_dicom(tmp_path / "front.dcm", draw_radiograph(1, size=(96, 80)))
    views = ["side.dcm", "front.dcm"]
    wanted = served(service, *(tmp_path / name for name in views))
    assert wanted.shape == (32, 64, 3)
    rows = {
        "lists.jsonl": {"images": views, "text": "Clear."},
        "json-text.jsonl": {"image": json.dumps(views), "text": "Clear."},
    }
    for name, row in rows.items():
        data = load(write_lines(tmp_path / name, [row]))
        assert np.array_equal(np.asarray(data.canvas(0)), wanted), name
    row = {"lateral": views[0], "frontal": views[1], "text": "Clear."}
    path = write_lines(tmp_path / "columns.jsonl", [row])
    data = DatasetExamples.load(str(path), Columns(image=["lateral", "frontal"]), side=32)
    assert np.array_equal(np.asarray(data.canvas(0)), wanted)


def test_images_beyond_those_of_a_canvas_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = write_images(tmp_path, 5)
    data = load(write_lines(tmp_path / "train.jsonl", [{"images": names, "text": "Clear."}]))
    assert data.canvas(0).size == (4 * 32, 32)
    assert "more than 4 images, of which the first are shown, as when serving: 1" in caplog.text


def test_pil_images_and_arrays_are_read_as_their_files_are(
    service: TaskRunner, tmp_path: Path
) -> None:
    files = write_kinds(tmp_path)
    for name in ("grey.png", "deep.png", "deep.tif", "nan.tif", "rgba.png", "turned-6.jpg"):
        with Image.open(files[name]) as image:
            wanted = served(service, files[name])
            assert np.array_equal(served(service, encode_image(image)), wanted), name
    eight = draw_radiograph(3, size=(96, 80))
    deep = eight.astype(np.uint16) * 13 + 200
    for values, name in (
        (eight, "grey.png"),
        (eight[:, :, None], "grey.png"),
        (np.dstack([eight] * 3), "grey.png"),
        (eight.tolist(), "grey.png"),
        (deep, "deep.png"),
        (deep.astype(np.int64), "deep.png"),
        (deep.tolist(), "deep.png"),
        (deep.astype(np.float64), "deep.png"),
    ):
        (made,) = images_in(values, tmp_path)
        assert np.array_equal(served(service, made), served(service, files[name])), name


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "names no image"),
        ("", "names no image"),
        ([], "names no image"),
        (float("nan"), "names no image"),
        (b"", "names no image"),
        (7, "a value of type int is no image"),
        ("missing.png", "the image missing.png does not exist beside the data"),
        (["missing.png"], "the image missing.png does not exist"),
        ("\u00e9" * 5000, "neither a file beside the data nor an image in base64"),
        ("data:image/png;base64,@@", "the data address is neither a file"),
        ("https://example.org/a.png", "is a web address: download the image"),
        ("a\0b", "does not exist"),
        ([["a"]], "the image a does not exist"),
    ],
)
def test_a_value_that_is_no_image_is_named_and_not_quoted_whole(
    tmp_path: Path, value: Any, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        images_in(value, tmp_path)
    assert len(str(refused.value)) < 200


def test_images_in_rows_are_kept_outside_of_memory(tmp_path: Path) -> None:
    rows = [{"image": base64.b64encode(png(n)).decode(), "text": f"N {n}."} for n in (0, 1, 0)]
    data = load(write_lines(tmp_path / "train.jsonl", rows))
    assert sorted(example.canvas or 0 for example in (*data.train, *data.val)) == [0, 0, 1]
    assert [one.length for one in data.images.files] == [len(png(0)), len(png(1))]
