"""MIMIC-CXR and MIMIC-CXR-JPG, on a small tree in the layout that PhysioNet publishes."""

import gzip
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from db.errors import NotFoundError, UserError
from indexer.sources.mimic_cxr import MimicCxr
from indexer.sources.records import Record, SkippedStudy, StudyRecord
from indexer.sources.split_choice import SplitChoice
from tests.support.builds import build_and_search
from tests.support.dicoms import write_dicom
from tests.support.radiographs import draw_radiograph

METADATA = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,"
    "StudyDate,StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,"
    "PatientOrientationCodeSequence_CodeMeaning"
)
LABELS = (
    "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,"
    "Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,"
    "Pneumothorax,Support Devices"
)
HEADED = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old woman with fever

 COMPARISON:  Radiographs of ___.

 FINDINGS:

 The heart is normal in size. A small effusion is seen on the
 left.

 IMPRESSION:

 Small left effusion.
"""
UNHEADED = """                                 FINAL REPORT
 CHEST RADIOGRAPH

 COMPARISON:  None.

 Both lungs are fully expanded and clear of any disease.

 IMPRESSION:  Normal film.
"""
# study, patient, images (dicom_id, view), split, labels after the two ids, report
STUDIES: list[tuple[str, str, list[tuple[str, str]], str, str | None, str | None]] = [
    (
        "50000001",
        "10000032",
        [("a1-a1", "PA"), ("a2-a2", "LATERAL"), ("a1-a1", "PA")],  # a duplicated row
        "train",
        ",-1.0,,,,,,,,1.0,,0.0,,",
        HEADED,
    ),
    ("50000002", "10000032", [("b1-b1", "LL")], "train", None, UNHEADED),  # lateral only
    (
        "50000003",
        "10000980",
        [("c1-c1", ""), ("c2-c2", "AP")],
        "validate",
        ",,,,,,,,1.0,,,,,",
        UNHEADED,
    ),
    ("50000004", "11000011", [("d1-d1", "AP")], "test", None, None),  # no report
    ("50000005", "11000011", [("e1-e1", "AP")], "test", None, " FINAL REPORT\n WET READ: ___"),
    ("50000006", "11000011", [("f1-f1", "PA")], "train", None, UNHEADED),  # image not fetched
]


def write_gz(path: Path, *lines: str) -> None:
    with gzip.open(path, "wt") as stream:
        stream.write("\n".join(lines) + "\n")


def report_name(patient: str, study: str) -> str:
    return f"files/p{patient[:2]}/p{patient}/s{study}.txt"


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    root = tmp_path / "mimic-cxr-jpg"
    metadata, splits, labels = [METADATA], ["dicom_id,study_id,subject_id,split"], [LABELS]
    for number, (study, patient, images, split, row, report) in enumerate(STUDIES):
        folder = root / "files" / f"p{patient[:2]}" / f"p{patient}" / f"s{study}"
        folder.mkdir(parents=True)
        for place, (dicom_id, view) in enumerate(images):
            metadata.append(f"{dicom_id},{patient},{study},CHEST (PA AND LAT),{view},96,80,1,1,,,")
            splits.append(f"{dicom_id},{study},{patient},{split}")
            if study != "50000006":
                image = draw_radiograph(10 * number + place, size=(96, 80))
                Image.fromarray(image).save(folder / f"{dicom_id}.jpg", quality=95)
        if row is not None:
            labels.append(f"{patient},{study},{row}")
        if report is not None:
            (root / report_name(patient, study)).write_text(report)
    write_gz(root / "mimic-cxr-2.0.0-metadata.csv.gz", *metadata)
    write_gz(root / "mimic-cxr-2.0.0-split.csv.gz", *splits)
    write_gz(root / "mimic-cxr-2.0.0-chexpert.csv.gz", *labels)
    return root


def by_id(source: MimicCxr) -> dict[str, Record]:
    return {record.study_id: record for record in source.records()}


def test_a_study_has_its_views_sections_labels_and_split(mimic: Path) -> None:
    study = by_id(MimicCxr(mimic))["50000001"]
    assert isinstance(study, StudyRecord)
    assert study.patient_id == "10000032" and study.split == "train"
    assert [image.view_position for image in study.images] == ["PA", "LATERAL"]
    assert study.indication == "___ year old woman with fever"
    assert study.comparison == "Radiographs of ___."
    assert study.findings.endswith("A small effusion is seen on the left.")
    assert study.impression == "Small left effusion."
    assert study.labels == {
        "Cardiomegaly": "uncertain",
        "Pleural Effusion": "positive",
        "Pneumonia": "negative",
    }


def test_known_irregularities_of_the_data_set_are_handled(mimic: Path) -> None:
    records = by_id(MimicCxr(mimic))
    lateral = records["50000002"]
    assert isinstance(lateral, StudyRecord)
    assert [image.view_position for image in lateral.images] == ["LATERAL"]
    assert lateral.labels is None  # not in the table: the labeller reads the report
    assert lateral.findings == "Both lungs are fully expanded and clear of any disease."
    unknown_view = records["50000003"]
    assert isinstance(unknown_view, StudyRecord)
    assert [image.view_position for image in unknown_view.images] == [None, "AP"]
    assert unknown_view.split == "val"
    assert unknown_view.labels == {"No Finding": "positive"}
    skipped = {r.study_id: r.reason for r in records.values() if isinstance(r, SkippedStudy)}
    assert skipped == {
        "50000004": "no report file",
        "50000005": "report without findings or impression",
        "50000006": "no image",
    }


def test_the_official_split_and_a_split_file_choose_studies(mimic: Path) -> None:
    val = MimicCxr(mimic, choice=SplitChoice(keep=frozenset({"val"})))
    assert [record.study_id for record in val.records()] == ["50000003"]
    assert val.split == "val"
    listed = SplitChoice(keep=frozenset({"train"}), listed={"50000002": "train"})
    assert list(by_id(MimicCxr(mimic, choice=listed))) == ["50000002"]


def test_a_report_with_lines_in_latin_1_is_read(mimic: Path) -> None:
    path = mimic / report_name("10000032", "50000001")
    text = path.read_bytes().replace(b"ormal in size", b"ormal in siz\xe9")
    path.write_bytes(text.replace(b"Small left", "Sm\u00e4ll left".encode()))
    study = by_id(MimicCxr(mimic))["50000001"]
    assert isinstance(study, StudyRecord)
    assert "siz\u00e9" in study.findings and study.impression == "Sm\u00e4ll left effusion."


def test_reports_come_from_the_archive_or_its_folder(mimic: Path, tmp_path: Path) -> None:
    expected = list(MimicCxr(mimic).records())
    archive = tmp_path / "mimic-cxr-reports.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in (mimic / "files").rglob("s*.txt"):
            out.write(path, path.relative_to(mimic))
            path.unlink()
    assert list(MimicCxr(mimic, reports_path=archive).records()) == expected
    with zipfile.ZipFile(archive) as out:
        out.extractall(tmp_path / "reports")
    assert list(MimicCxr(mimic, reports_path=tmp_path / "reports").records()) == expected
    with pytest.raises(NotFoundError, match=r"s50414267\.txt there, or mimic-cxr-reports\.zip"):
        MimicCxr(mimic)
    archive.write_bytes(b"no archive")
    with pytest.raises(UserError, match="not a ZIP archive"):
        MimicCxr(mimic, reports_path=archive)


def test_the_dicom_release_is_read_from_its_record_list(mimic: Path) -> None:
    (mimic / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    paths = sorted((mimic / "files").rglob("*.jpg"))
    lines = ["subject_id,study_id,dicom_id,path"]
    for path in paths:
        write_dicom(path.with_suffix(".dcm"), draw_radiograph(1, size=(96, 80)))
        dicom = path.with_suffix(".dcm").relative_to(mimic)
        lines.append(f"{path.parts[-3][1:]},{path.parts[-2][1:]},{path.stem},{dicom}")
        path.unlink()
    write_gz(mimic / "cxr-record-list.csv.gz", *lines)
    study = by_id(MimicCxr(mimic))["50000001"]
    assert isinstance(study, StudyRecord)
    assert [image.path.suffix for image in study.images] == [".dcm", ".dcm"]
    assert study.images[0].view_position is None  # the header says it when the image is read


def test_negbio_labels_serve_where_chexpert_labels_are_missing(mimic: Path) -> None:
    chexpert = mimic / "mimic-cxr-2.0.0-chexpert.csv.gz"
    chexpert.rename(mimic / "mimic-cxr-2.0.0-negbio.csv.gz")
    study = by_id(MimicCxr(mimic))["50000001"]
    assert isinstance(study, StudyRecord) and study.labels is not None
    assert study.labels["Cardiomegaly"] == "uncertain"


def test_missing_files_are_named_with_the_expected_layout(mimic: Path) -> None:
    with pytest.raises(NotFoundError, match=r"files has no 'mimic-cxr-2\.0\.0-metadata\.csv'"):
        MimicCxr(mimic / "files")
    (mimic / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    with pytest.raises(NotFoundError, match=r"split\.csv' .* which --split needs"):
        MimicCxr(mimic, choice=SplitChoice(keep=frozenset({"train"})))
    write_gz(mimic / "mimic-cxr-2.0.0-chexpert.csv.gz", LABELS, "10000032,50000001" + ",3" * 14)
    with pytest.raises(UserError, match="study 50000001: '3' under 'No Finding'"):
        list(MimicCxr(mimic).records())
    write_gz(mimic / "mimic-cxr-2.0.0-chexpert.csv.gz", "a,b", "1,2")
    with pytest.raises(UserError, match="no column 'study_id'"):
        list(MimicCxr(mimic).records())


def test_a_data_set_without_any_image_is_an_error(mimic: Path) -> None:
    for path in (mimic / "files").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(NotFoundError, match=r"expected, for example, .*s50000001/a1-a1\.jpg"):
        list(MimicCxr(mimic).records())


def test_an_index_is_built_and_finds_its_images(mimic: Path, tmp_path: Path) -> None:
    indexed = build_and_search(MimicCxr(mimic), tmp_path)
    assert indexed == ["50000001", "50000002", "50000003"]
