"""VinDr-CXR, on small trees in the layouts of PhysioNet and of the Kaggle challenge."""

from pathlib import Path

import pytest

from db.errors import NotFoundError, UserError
from indexer.encoder.weight_files import package_file
from indexer.sources.records import BoundingBox, SkippedStudy, StudyRecord
from indexer.sources.split_choice import SplitChoice
from indexer.sources.tables import read_table
from indexer.sources.vindr_cxr import VinDrCxr
from tests.support.builds import build_and_search
from tests.support.dicoms import write_dicom
from tests.support.radiographs import draw_radiograph

IMAGE_LABELS = """image_id,rad_id,Cardiomegaly,Lung Opacity,Other diseases,Pneumonia,No finding
aa,R1,1,0,0,0,0
aa,R2,1,1,0,0,0
aa,R3,0,0,1,0,0
bb,R1,0,0,0,0,1
bb,R2,0,0,0,0,1
bb,R3,0,0,0,0,1
cc,R1,0,0,0,0,0
"""
BOXES = """image_id,rad_id,class_name,x_min,y_min,x_max,y_max
aa,R1,Cardiomegaly,10,20,30,50
aa,R2,Cardiomegaly,10,20,30,50
aa,R2,Lung Opacity,1.5,2,3,4
bb,R1,No finding,,,,
"""
TEST_LABELS = "image_id,Cardiomegaly,Other disease,No finding\ndd,1.0,0.0,0.0\n"
KAGGLE = """image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max
aa,Pleural effusion,10,R9,1,2,3,4
bb,No finding,14,R1,,,,
aa,Pleural effusion,10,R8,1,2,3,4
aa,No finding,14,R7,,,,
bb,No finding,14,R2,,,,
"""


@pytest.fixture
def vindr(tmp_path: Path) -> Path:
    root = tmp_path / "vindr-cxr"
    for seed, name in enumerate(("train/aa", "train/bb", "train/cc", "test/dd")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_dicom(root / f"{name}.dicom", draw_radiograph(seed, size=(96, 80)), ViewPosition=None)
    (root / "annotations").mkdir()
    (root / "annotations/image_labels_train.csv").write_text(IMAGE_LABELS)
    (root / "annotations/annotations_train.csv").write_text(BOXES)
    (root / "annotations/image_labels_test.csv").write_text(TEST_LABELS)
    return root


def test_two_readers_of_three_make_a_label_positive_and_one_makes_it_uncertain(vindr: Path) -> None:
    records = {record.study_id: record for record in VinDrCxr(vindr).records()}
    study = records["aa"]
    assert isinstance(study, StudyRecord)
    assert [sentence.text for sentence in study.label_sentences] == [
        "Cardiomegaly.",
        "Possible lung opacity.",
        "Possible other disease.",
    ]
    assert study.labels == {"Cardiomegaly": "positive", "Lung Opacity": "uncertain"}
    [image] = study.images
    assert image.view_position == "PA" and len(image.boxes) == 3
    assert image.boxes[2] == BoundingBox(
        name="Lung Opacity", left=1.5, top=2.0, width=1.5, height=2.0
    )
    normal = records["bb"]
    assert isinstance(normal, StudyRecord) and normal.labels == {"No Finding": "positive"}
    assert normal.patient_id is None
    assert records["cc"] == SkippedStudy(study_id="cc", reason="no label")


def test_the_consensus_of_the_test_set_is_positive(vindr: Path) -> None:
    choice = SplitChoice(keep=frozenset({"test"}))
    [study] = VinDrCxr(vindr, choice=choice).records()
    assert isinstance(study, StudyRecord)
    assert (study.study_id, study.split) == ("dd", "test")
    assert study.labels == {"Cardiomegaly": "positive"}


def test_the_tables_of_the_kaggle_challenge_are_read(vindr: Path) -> None:
    for path in (vindr / "annotations").iterdir():
        path.unlink()
    (vindr / "train.csv").write_text(KAGGLE)
    first, second = VinDrCxr(vindr).records()
    assert isinstance(first, StudyRecord) and isinstance(second, StudyRecord)
    assert first.labels == {"Pleural Effusion": "positive"}  # no finding of one against two
    assert len(first.images[0].boxes) == 2
    assert second.labels == {"No Finding": "positive"}


def test_what_is_wrong_is_named(vindr: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no 'annotations/image_labels_train\.csv'"):
        VinDrCxr(tmp_path)
    (vindr / "annotations/annotations_train.csv").write_text(BOXES.replace("1.5", "wide"))
    with pytest.raises(UserError, match="a box of image aa"):
        list(VinDrCxr(vindr).records())
    (vindr / "annotations/image_labels_test.csv").write_text("image,Edema\na,1\n")
    with pytest.raises(UserError, match="no column 'image_id'"):
        list(VinDrCxr(vindr).records())


def test_the_table_of_torchxrayvision_has_the_columns(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    VinDrCxr(tmp_path)  # a folder of images is enough
    path = package_file("torchxrayvision", "data/vinbigdata-train.csv.gz")
    _, row = next(read_table(path, needs=KAGGLE.splitlines()[0].split(",")))
    assert row["class_name"] == "No finding"


def test_an_index_is_built_and_finds_its_images(vindr: Path, tmp_path: Path) -> None:
    assert build_and_search(VinDrCxr(vindr), tmp_path) == ["aa", "bb", "dd"]
