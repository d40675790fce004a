"""Small drawn data in the layout of every source, under the names that the documentation uses."""

import csv
import gzip
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.dicoms import UID_ROOT, code, item, write_dicom, write_sr
from tests.support.fakes import REPORTS
from tests.support.radiographs import draw_radiograph

OBSERVED = "Cardiomegaly,Pleural Effusion"


def draw(path: Path, seed: int, *, deep: bool = False) -> Path:
    """A drawn radiograph of 80 x 96 pixels, with 16 bits where ``deep``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = draw_radiograph(seed, size=(96, 80))
    Image.fromarray(pixels.astype(np.uint16) * 16 + 200 if deep else pixels).save(path)
    return path


def write_layouts(folder: Path) -> None:
    """Everything that the pages on one's own data name, in ``folder``."""
    for seed, name in enumerate(("image", "pa", "lateral"), start=90):
        draw(folder / f"{name}.png", seed)
    write_dicom(folder / "image.dcm", draw_radiograph(94, size=(96, 80)))
    write_own(folder)
    write_dicoms(folder)
    write_mimic_cxr(folder)
    write_chexpert(folder)
    write_nih(folder / "ChestX-ray14")
    write_padchest(folder / "PadChest")
    write_vindr(folder / "vindr-cxr")


def write_own(folder: Path) -> None:
    """Tables and JSON with three studies each."""
    studies = [
        {
            "study_id": f"s{number}",
            "patient_id": f"p{number}",
            "image": draw(folder / f"{number}.png", number).name,
            "text": f"FINDINGS: {findings} IMPRESSION: {impression}",
            "split": "train",
        }
        for number, (findings, impression) in enumerate(REPORTS[:3], start=1)
    ]
    (folder / "studies.jsonl").write_text("\n".join(json.dumps(study) for study in studies))
    (folder / "studies.json").write_text(json.dumps(studies))
    named = {"study_id": "accession", "image": "file", "text": "befund"}
    export = [{named[key]: study[key] for key in named} for study in studies]
    (folder / "export.jsonl").write_text("\n".join(json.dumps(study) for study in export))
    draw(folder / "4.png", 4)
    more = {"study_id": "s4", "image": "4.png", "text": "FINDINGS: Clear. IMPRESSION: Normal."}
    (folder / "more.jsonl").write_text(json.dumps(more))
    _table(folder / "studies.csv", studies)
    theirs = ("Accession", "MRN", "File", "Report", "split")
    _table(folder / "export.csv", [dict(zip(theirs, s.values(), strict=True)) for s in studies])
    entries = [
        {"id": s["study_id"], "report": s["text"], "image_path": [s["image"]]} for s in studies
    ]
    (folder / "annotation.json").write_text(json.dumps({"train": entries, "val": [], "test": []}))
    talks = [
        {
            "id": s["study_id"],
            "image": s["image"],
            "conversations": [
                {"from": "human", "value": "<image>\nWrite a report."},
                {"from": "gpt", "value": s["text"]},
            ],
        }
        for s in studies
    ]
    (folder / "conversations.json").write_text(json.dumps(talks))
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(studies), folder / "studies.parquet")
    stored = [
        {"photo": {"bytes": (folder / s["image"]).read_bytes(), "path": None}, "report": s["text"]}
        for s in studies
    ]
    parquet.write_table(pyarrow.Table.from_pylist(stored), folder / "export.parquet")
    import datasets

    features = datasets.Features({"photo": datasets.Image(), "report": datasets.Value("string")})
    dataset = datasets.Dataset.from_list(stored, features=features)
    datasets.DatasetDict({"train": dataset}).save_to_disk(str(folder / "saved_dataset"))


def _table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_dicoms(folder: Path) -> None:
    """A folder of DICOM files with one structured report, and a table of reports."""
    (folder / "export").mkdir()
    rows = []
    for number in (1, 2):
        uids = {
            "StudyInstanceUID": f"{UID_ROOT}.{number}",
            "SOPInstanceUID": f"{UID_ROOT}.9.{number}",
        }
        write_dicom(
            folder / "export" / f"IM{number}", draw_radiograph(number, size=(96, 80)), **uids
        )
        rows.append({"UID": uids["StudyInstanceUID"], "Report": "IMPRESSION: Left effusion."})
    _table(folder / "reports.csv", rows)
    impression = item("TEXT", code("121073", "DCM", "Impression"), "Small left effusion.")
    write_sr(folder / "export" / "SR1", "1", [impression], PatientID="MRN-31415926")


def write_mimic_cxr(folder: Path) -> None:
    """MIMIC-CXR-JPG with one study and its report in an archive."""
    root = folder / "mimic-cxr-jpg"
    study = "files/p10/p10000032/s50000001"
    draw(root / study / "a1-a1.jpg", 1)
    tables = {
        "metadata": (
            "dicom_id,subject_id,study_id,ViewPosition,Rows,Columns\na1-a1,10000032,50000001,PA,96,80\n"
        ),
        "split": "dicom_id,study_id,subject_id,split\na1-a1,50000001,10000032,train\n",
        "chexpert": f"subject_id,study_id,{OBSERVED}\n10000032,50000001,1.0,\n",
    }
    for name, text in tables.items():
        (root / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(folder / "mimic-cxr-reports.zip", "w") as archive:
        archive.writestr(
            f"{study}.txt", " FINDINGS:\n The heart is large.\n\n IMPRESSION:\n Large heart."
        )


def write_chexpert(folder: Path) -> None:
    """CheXpert with labels, and CheXpert Plus with a report."""
    root = "CheXpert-v1.0-small"
    image = "train/patient00001/study1/view1_frontal.jpg"
    draw(folder / root / image, 1)
    (folder / root / "train.csv").write_text(
        f"Path,Sex,Age,Frontal/Lateral,AP/PA,{OBSERVED}\n{root}/{image},Female,68,Frontal,PA,1.0,\n"
    )
    plus = folder / "chexpert-plus"
    draw((plus / "PNG" / image).with_suffix(".png"), 2)
    (plus / "df_chexpert_plus_240401.csv").write_text(
        "path_to_image,frontal_lateral,ap_pa,deid_patient_id,split,report,section_findings,"
        "section_impression\n"
        f"{image},Frontal,PA,patient00001,train,IMPRESSION: Large heart.,,Large heart.\n"
    )


def write_nih(root: Path) -> None:
    """ChestX-ray14 with one image."""
    draw(root / "images" / "00000001_000.png", 1)
    (root / "Data_Entry_2017_v2020.csv").write_text(
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n"
        "00000001_000.png,Cardiomegaly|Effusion,0,1,57,M,PA,2682,2749,0.143,0.143\n"
    )
    (root / "train_val_list.txt").write_text("00000001_000.png\n")
    (root / "test_list.txt").write_text("")


def write_padchest(root: Path) -> None:
    """PadChest with one 16-bit image."""
    draw(root / "0" / "a.png", 1, deep=True)
    (root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv").write_text(
        ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,Projection,Pediatric,"
        "ReportID,Report,MethodLabel,Labels,LabelsLocalizationsBySentence\n"
        "0,a.png,0,20140915,s1,p1,1930.0,PA,No,1, sin hallazg .,Physician,\"['goiter']\",[]\n"
    )


def write_vindr(root: Path) -> None:
    """VinDr-CXR with one train image."""
    (root / "train").mkdir(parents=True)
    write_dicom(root / "train" / "aa.dicom", draw_radiograph(1, size=(96, 80)))
    (root / "annotations").mkdir()
    (root / "annotations" / "image_labels_train.csv").write_text(
        "image_id,rad_id,Cardiomegaly,No finding\naa,R1,1,0\naa,R2,1,0\naa,R3,0,0\n"
    )
    (root / "annotations" / "annotations_train.csv").write_text(
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\naa,R1,Cardiomegaly,10,20,30,50\n"
    )
