"""CheXpert and CheXpert Plus, on small trees in the layouts that Stanford publishes."""

import json
from pathlib import Path

import pytest
from PIL import Image

from db.errors import NotFoundError, UserError
from indexer.encoder.weight_files import package_file
from indexer.sources.chexpert import CheXpert
from indexer.sources.chexpert_plus import CheXpertPlus
from indexer.sources.records import SkippedStudy, StudyRecord
from indexer.sources.split_choice import SplitChoice
from indexer.sources.tables import read_table
from tests.support.builds import build_and_search
from tests.support.radiographs import draw_radiograph

HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,"
    "Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,"
    "Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
ROOT = "CheXpert-v1.0-small"
TRAIN = [  # studies out of order, a duplicated row, uncertain labels, a lateral alone, no label
    f"{ROOT}/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,AP"
    ",,,-1.0,1.0,,-1.0,,,,,0.0,,1.0,",
    f"{ROOT}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,PA"
    ",1.0,,,,,,,,,0.0,,,,1.0",
    f"{ROOT}/train/patient00001/study1/view2_lateral.jpg,Female,68,Lateral,,1.0,,,,,,,,,0.0,,,,1.0",
    f"{ROOT}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,PA"
    ",1.0,,,,,,,,,0.0,,,,1.0",
    f"{ROOT}/train/patient00003/study1/view1_lateral.jpg,Male,0,Lateral,,,,,1.0,,,,,,,,,,",
    f"{ROOT}/train/patient00004/study1/view1_frontal.jpg,Male,41,Frontal,LL,,,,,,,,,,,,,,",
    f"{ROOT}/train/patient00005/study1/view1_frontal.jpg,Male,41,Frontal,RL,1.0,,,,,,,,,,,,,",
]
VALID = [
    f"{ROOT}/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP"
    ",0.0,1.0,1.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0"
]
TEST = ["test/patient64741/study1/view1_frontal.jpg,0,1,0,1,0,0,0,0,0,0,0,0,0,1"]


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_radiograph(seed, size=(96, 80))).save(path)


@pytest.fixture
def chexpert(tmp_path: Path) -> Path:
    root = tmp_path / ROOT
    for seed, line in enumerate([*TRAIN, *VALID, *TEST]):
        if "patient00005" not in line:  # not fetched
            draw(root / line.split(",")[0].removeprefix(f"{ROOT}/"), seed)
    (root / "train.csv").write_text("\n".join([HEADER, *TRAIN]))
    (root / "valid.csv").write_text("\n".join([HEADER, *VALID]))
    columns = ["Path", *HEADER.split(",")[5:]]
    (root / "test_labels.csv").write_text("\n".join([",".join(columns), *TEST]))
    return root


def test_chexpert_labels_become_sentences_and_unmentioned_ones_do_not(chexpert: Path) -> None:
    records = {record.study_id: record for record in CheXpert(chexpert).records()}
    study = records["patient00002-study2"]
    assert isinstance(study, StudyRecord)
    assert [sentence.text for sentence in study.label_sentences] == [
        "Possible cardiomegaly.",
        "Lung opacity.",
        "Possible pulmonary edema.",
        "No pleural effusion.",
        "Fracture.",
    ]
    assert study.labels == {
        "Cardiomegaly": "uncertain",
        "Lung Opacity": "positive",
        "Edema": "uncertain",
        "Pleural Effusion": "negative",
        "Fracture": "positive",
    }
    assert (study.findings, study.impression, study.patient_id) == ("", "", "patient00002")


def test_chexpert_views_and_oddities(chexpert: Path) -> None:
    records = list(CheXpert(chexpert).records())
    views = {
        record.study_id: [image.view_position for image in record.images]
        for record in records
        if isinstance(record, StudyRecord)
    }
    assert views == {
        "patient00001-study1": ["PA", "LATERAL"],
        "patient00002-study2": ["AP"],
        "patient00003-study1": ["LATERAL"],
        "patient64541-study1": ["AP"],
        "patient64741-study1": ["FRONTAL"],
    }
    reasons = {r.study_id: r.reason for r in records if isinstance(r, SkippedStudy)}
    assert reasons == {"patient00004-study1": "no label", "patient00005-study1": "no image"}


def test_chexpert_splits_are_its_tables(chexpert: Path) -> None:
    for split, study in (("val", "patient64541-study1"), ("test", "patient64741-study1")):
        [record] = CheXpert(chexpert, choice=SplitChoice(keep=frozenset({split}))).records()
        assert isinstance(record, StudyRecord) and record.study_id == study
        assert record.split == split
        assert record.labels is not None and record.labels["Edema"] == "negative"
        assert "No Finding" not in record.labels  # 0 there says that something is found


def test_chexpert_errors_name_the_missing_files(chexpert: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no 'train\.csv', 'valid\.csv' or 'test_labels\.csv'"):
        CheXpert(tmp_path)
    (chexpert / "train.csv").write_text("Image,Edema\na,1\n")
    with pytest.raises(UserError, match="no column 'Path': it has Image, Edema"):
        list(CheXpert(chexpert).records())
    (chexpert / "train.csv").write_text("Path,Edema\na.jpg,1\n")
    with pytest.raises(UserError, match=r"line 2: 'a\.jpg' is not an image path"):
        list(CheXpert(chexpert).records())
    for name in ("train", "valid"):
        (chexpert / f"{name}.csv").unlink()
    (chexpert / "test" / "patient64741/study1/view1_frontal.jpg").unlink()
    with pytest.raises(
        NotFoundError, match=r"expected, for example, .*test/patient64741/study1/view1"
    ):
        list(CheXpert(chexpert).records())


def test_the_train_table_of_torchxrayvision_has_the_columns(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    CheXpert(tmp_path)  # a folder of images is enough
    path = package_file("torchxrayvision", "data/chexpert_train.csv.gz")
    _, row = next(read_table(path, needs=HEADER.split(",")))
    assert row["Support Devices"] == "1.0"


def test_a_chexpert_index_finds_its_images(chexpert: Path, tmp_path: Path) -> None:
    indexed = build_and_search(CheXpert(chexpert), tmp_path)
    assert indexed[0] == "patient00001-study1" and len(indexed) == 5


PLUS_COLUMNS = (
    "path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,patient_report_date_order,"
    "report,section_narrative,section_clinical_history,section_history,section_comparison,"
    "section_technique,section_procedure_comments,section_findings,section_impression,"
    "section_end_of_impression,section_summary,section_accession_number,age,sex,race,ethnicity,"
    "interpreter_needed,insurance_type,recent_bmi,deceased,split"
).split(",")


def plus_row(path: str, patient: str, **values: str) -> str:
    row = dict.fromkeys(PLUS_COLUMNS, "")
    row |= {"path_to_image": path, "deid_patient_id": patient, "frontal_lateral": "Frontal"}
    row |= {"path_to_dcm": path.replace(".jpg", ".dcm"), "split": path.split("/")[0]}
    return ",".join('"' + (row | values)[column] + '"' for column in PLUS_COLUMNS)


@pytest.fixture
def plus(tmp_path: Path) -> Path:
    root = tmp_path / "chexpert-plus"
    texts = {
        "section_history": "Fever.",
        "section_comparison": "Film of the day before.",
        "section_findings": "Heart is large.",
        "section_impression": "1. Big heart.",
        "section_end_of_impression": "End of it all.",
    }
    lateral = {"frontal_lateral": "Lateral"}
    lines = [
        plus_row("train/patient1/study1/view1_frontal.jpg", "patient1", ap_pa="PA", **texts),
        plus_row("train/patient1/study1/view2_lateral.jpg", "patient1", **(texts | lateral)),
        plus_row(
            "valid/patient2/study9/view1_frontal.jpg",
            "patient2",
            ap_pa="AP",
            report="NARRATIVE: x\nIMPRESSION: Clear.",
        ),
        plus_row("train/patient3/study1/view1_frontal.jpg", "patient3"),
    ]
    (root / "chexbert_labels").mkdir(parents=True)
    table = "\n".join([",".join(PLUS_COLUMNS), *lines])
    (root / "df_chexpert_plus_240401.csv").write_text(table)
    for seed, line in enumerate(lines):  # the table says .jpg, the files are .png
        path = root / "PNG/PNG" / line.split('"')[1].replace(".jpg", ".png")
        draw(path, seed)
    labels = {"path_to_image": "train/patient1/study1/view1_frontal.jpg"}
    states = {"Cardiomegaly": 1.0, "Edema": -1.0, "Fracture": 0.0, "Pneumonia": None}
    (root / "chexbert_labels/report_fixed.json").write_text(json.dumps(labels | states) + "\n")
    return root


def test_chexpert_plus_gives_reports_views_and_chexbert_labels(plus: Path) -> None:
    first, second, third = CheXpertPlus(plus).records()
    assert isinstance(first, StudyRecord) and isinstance(second, StudyRecord)
    assert [image.path.suffix for image in first.images] == [".png", ".png"]
    assert [image.view_position for image in first.images] == ["PA", "LATERAL"]
    assert (first.indication, first.comparison) == ("Fever.", "Film of the day before.")
    assert (first.findings, first.impression) == (
        "Heart is large.",
        "1. Big heart.\nEnd of it all.",
    )
    assert first.labels == {
        "Cardiomegaly": "positive",
        "Edema": "uncertain",
        "Fracture": "negative",
    }
    assert (second.impression, second.labels, second.split) == ("Clear.", None, "val")
    assert isinstance(third, SkippedStudy)
    assert third.reason == "report without findings or impression"


def test_chexpert_plus_errors_name_the_missing_files(plus: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no 'df_chexpert_plus_240401\.csv'"):
        CheXpertPlus(tmp_path)
    (plus / "chexbert_labels/report_fixed.json").write_text("{}\n")
    with pytest.raises(UserError, match=r"line 1: not a JSON object with 'path_to_image'"):
        list(CheXpertPlus(plus).records())


def test_a_chexpert_plus_index_finds_its_images(plus: Path, tmp_path: Path) -> None:
    indexed = build_and_search(CheXpertPlus(plus), tmp_path)
    assert indexed == ["patient1-study1", "patient2-study9"]
