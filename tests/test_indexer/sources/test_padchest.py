"""PadChest, on a small tree in the layout of the BIMCV."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.errors import NotFoundError, UserError
from indexer.encoder.weight_files import package_file
from indexer.sources.padchest import COLUMNS as PADCHEST_COLUMNS
from indexer.sources.padchest import PadChest
from indexer.sources.records import SkippedStudy, StudyRecord
from indexer.sources.split_choice import SplitChoice
from indexer.sources.tables import read_table
from tests.support.builds import build_and_search
from tests.support.radiographs import draw_radiograph

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
HEADER = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,Projection,Pediatric,"
    "ReportID,Report,MethodLabel,Labels,LabelsLocalizationsBySentence"
)
TWICE = (
    "\"['pleural effusion', 'goiter', 'heart insufficiency', ' pleural effusion', 'unchanged']\""
)
TWICE_BY_SENTENCE = (
    "\"[['pleural effusion', 'loc pleural', 'loc left'], nan, "
    "['goiter', 'normal'], ['unchanged']]\""
)
ROWS = [  # study, image, folder, projection, labels, labels by sentence
    ("s-1", "a.png", "0", "PA", TWICE, TWICE_BY_SENTENCE),
    ("s2", "b.png", "0", "L", "['normal']", "\"[['normal'], ['normal']]\""),  # lateral only
    ("s3", "c.png", "1", "AP_horizontal", "nan", "nan"),
    ("s-1", "d.png", "1", "L", TWICE, TWICE_BY_SENTENCE),  # apart from its study
    ("s4", "e.png", "1", "PA", "\"['exclude', 'scoliosis']\"", "[]"),
    ("s5", "f.png", "1", "COSTAL", "['rib fracture']", "[]"),
    ("s6", "g.png", "1", "AP_horizontal", "\"['pacemaker', 'normal']\"", ""),
]


@pytest.fixture
def padchest(tmp_path: Path) -> Path:
    root = tmp_path / "padchest"
    lines = [HEADER]
    for seed, (study, image, folder, projection, labels, by_sentence) in enumerate(ROWS):
        lines.append(
            f"{seed},{image},{folder},20140915,{study},p{study},1930.0,{projection},No,1,"
            f" sin hallazg patolog .,Physician,{labels},{by_sentence}"
        )
        (root / folder).mkdir(parents=True, exist_ok=True)
        deep = draw_radiograph(seed, size=(96, 80)).astype(np.uint16) * 16 + 200
        Image.fromarray(deep).save(root / folder / image)  # 16-bit PNG
    (root / TABLE).write_text("\n".join(lines))
    return root


def test_labels_become_english_sentences_with_locations(padchest: Path) -> None:
    records = {record.study_id: record for record in PadChest(padchest).records()}
    study = records["s-1"]
    assert isinstance(study, StudyRecord)
    assert [sentence.text for sentence in study.label_sentences] == [
        "Pleural effusion (pleural, left).",
        "Goiter.",
        "Heart failure.",
    ]
    assert study.labels == {"Edema": "positive", "Pleural Effusion": "positive"}
    assert [image.view_position for image in study.images] == ["PA", "LATERAL"]
    assert (study.findings, study.patient_id) == ("", "ps-1")


def test_known_irregularities_of_the_data_set_are_handled(padchest: Path) -> None:
    records = list(PadChest(padchest).records())
    kept = {r.study_id: r.labels for r in records if isinstance(r, StudyRecord)}
    assert kept["s2"] == {"No Finding": "positive"}
    assert kept["s6"] == {"Support Devices": "positive"}
    reasons = {r.study_id: r.reason for r in records if isinstance(r, SkippedStudy)}
    assert reasons == {
        "s3": "no label",
        "s4": "marked 'exclude' by the data set",
        "s5": "no image",
    }


def test_images_are_found_in_a_flat_folder_or_in_images(padchest: Path) -> None:
    expected = [record.study_id for record in PadChest(padchest).records()]
    (padchest / "images").mkdir()
    for path in sorted(padchest.rglob("*.png")):
        path.rename(padchest / "images" / path.name)
    found = [r for r in PadChest(padchest).records() if isinstance(r, StudyRecord)]
    assert [record.study_id for record in PadChest(padchest).records()] == expected
    assert len(found) == 3


def test_what_is_wrong_is_named(padchest: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere is not a folder"):
        PadChest(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"padchest has no splits .* needs --split-file"):
        PadChest(padchest, choice=SplitChoice(keep=frozenset({"train"})))
    table = padchest / TABLE
    table.write_text(table.read_text().replace("['normal']", "open('x')"))
    with pytest.raises(UserError, match=r"Labels of b\.png is not a list"):
        list(PadChest(padchest).records())
    table.write_text("ImageID,ImageDir\na,b\n")
    with pytest.raises(UserError, match="no column 'StudyID'"):
        list(PadChest(padchest).records())


def test_a_split_file_chooses_studies(padchest: Path) -> None:
    choice = SplitChoice(keep=frozenset({"test"}), listed={"s2": "test", "s6": "train"})
    assert [record.study_id for record in PadChest(padchest, choice=choice).records()] == ["s2"]


def test_an_index_is_built_and_finds_its_images(padchest: Path, tmp_path: Path) -> None:
    assert build_and_search(PadChest(padchest), tmp_path) == ["s-1", "s2", "s6"]


def test_the_table_of_torchxrayvision_has_the_columns() -> None:
    path = package_file("torchxrayvision", f"data/{TABLE}.gz")
    _, row = next(read_table(path, needs=PADCHEST_COLUMNS))
    assert row["Projection"] == "PA" and row["Labels"] == "['normal']"
