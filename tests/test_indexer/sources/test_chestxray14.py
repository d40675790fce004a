"""ChestX-ray14, on a small tree in the layout of the NIH."""

from pathlib import Path

import pytest
from PIL import Image

from db.errors import NotFoundError, UserError
from indexer.encoder.weight_files import package_file
from indexer.sources.chestxray14 import ChestXray14
from indexer.sources.records import BoundingBox, SkippedStudy, StudyRecord
from indexer.sources.split_choice import SplitChoice
from indexer.sources.tables import read_table
from tests.support.builds import build_and_search
from tests.support.radiographs import draw_radiograph

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
ROWS = {
    "00000001_000.png": "Cardiomegaly|Effusion,0,1,57,M,PA,2682,2749,0.143,0.143",
    "00000001_001.png": "Infiltration|Hernia,1,1,58,M,AP,2500,2048,0.168,0.168",
    "00000002_000.png": "No Finding,0,2,411,F,PA,2500,2048,0.171,0.171",
    "00000003_000.png": "Mass,0,3,30,F,PA,2500,2048,0.171,0.171",  # not fetched
}


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    root = tmp_path / "nih"
    for seed, name in enumerate(ROWS):
        folder = root / f"images_{1 + seed % 2:03d}" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        if name != "00000003_000.png":
            Image.fromarray(draw_radiograph(seed, size=(96, 96))).save(folder / name)
    lines = [HEADER, *(f"{name},{row}" for name, row in ROWS.items())]
    (root / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines))
    boxes = "00000001_001.png,Infiltrate,10.5,20,30.5,40,,,\n"
    (root / "BBox_List_2017.csv").write_text(
        f"Image Index,Finding Label,Bbox [x,y,w,h],,,\n{boxes}"
    )
    (root / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    (root / "test_list.txt").write_text("00000002_000.png\n00000003_000.png")
    return root


def test_each_image_is_a_study_with_label_sentences(nih: Path) -> None:
    first, second, third, fourth = ChestXray14(nih).records()
    assert isinstance(first, StudyRecord) and isinstance(second, StudyRecord)
    assert (first.study_id, first.patient_id, first.split) == ("00000001_000", "1", "train")
    assert [s.text for s in first.label_sentences] == ["Cardiomegaly.", "Pleural effusion."]
    assert first.labels == {"Cardiomegaly": "positive", "Pleural Effusion": "positive"}
    assert [s.text for s in second.label_sentences] == ["Lung infiltration.", "Hernia."]
    assert second.labels == {"Lung Opacity": "positive"}  # a hernia is none of the 14
    assert isinstance(third, StudyRecord) and third.labels == {"No Finding": "positive"}
    assert isinstance(fourth, SkippedStudy) and fourth.reason == "no image"


def test_boxes_views_and_original_proportions_are_kept(nih: Path) -> None:
    _, second, *_ = ChestXray14(nih).records()
    assert isinstance(second, StudyRecord)
    [image] = second.images
    assert image.view_position == "AP" and image.original_size == (2500, 2048)
    box = BoundingBox(name="Infiltration", left=10.5, top=20.0, width=30.5, height=40.0)
    assert image.boxes == (box,)


def test_the_official_lists_are_the_splits(nih: Path) -> None:
    train = ChestXray14(nih, choice=SplitChoice(keep=frozenset({"train"})))
    assert [r.study_id for r in train.records()] == ["00000001_000", "00000001_001"]
    for name in ("train_val_list.txt", "test_list.txt"):
        (nih / name).unlink()
    with pytest.raises(NotFoundError, match=r"no 'train_val_list\.txt'"):
        ChestXray14(nih, choice=SplitChoice(keep=frozenset({"train"})))


def test_the_tables_of_torchxrayvision_have_the_columns(tmp_path: Path) -> None:
    ChestXray14(tmp_path)  # a folder of images is enough
    columns = [name for name in HEADER.split(",") if name != "Patient Sex"]
    path = package_file("torchxrayvision", "data/Data_Entry_2017_v2020.csv.gz")
    _, row = next(read_table(path, needs=columns))
    assert row["Finding Labels"] == "Cardiomegaly"
    path = package_file("torchxrayvision", "data/BBox_List_2017.csv.gz")
    _, row = next(read_table(path, needs=("Image Index", "Finding Label", "Bbox [x", "h]")))
    assert row["Finding Label"] == "Atelectasis"


def test_what_is_wrong_is_named(nih: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere is not a folder"):
        ChestXray14(tmp_path / "nowhere")
    (nih / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h]\n00000001_000.png,Mass,a,2,3,4\n"
    )
    with pytest.raises(UserError, match=r"BBox_List_2017\.csv: a box of 00000001_000\.png"):
        list(ChestXray14(nih).records())
    (nih / "Data_Entry_2017_v2020.csv").write_text("Image,Finding Labels\na,b\n")
    with pytest.raises(UserError, match="no column 'Image Index'"):
        list(ChestXray14(nih).records())


def test_an_index_is_built_and_finds_its_images(nih: Path, tmp_path: Path) -> None:
    indexed = build_and_search(ChestXray14(nih), tmp_path)
    assert indexed == ["00000001_000", "00000001_001", "00000002_000"]
