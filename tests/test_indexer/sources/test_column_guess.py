"""Tables of people who have not read the manual: their columns and images are found."""

import json
from pathlib import Path

import pytest
from PIL import Image

from db.errors import UserError
from indexer.reports.sections.parse import CORRECTED
from indexer.sources.catalogue import open_source
from indexer.sources.own_table import OwnTable
from indexer.sources.records import Source, StudyRecord
from indexer.sources.source_options import SourceOptions
from tests.support.radiographs import draw_radiograph


def draw(*paths: Path) -> None:
    for seed, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_radiograph(seed, size=(64, 64))).save(path)


def table(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "t.csv").write_bytes("\n".join(lines).encode(encoding))
    return folder / "t.csv"


def read(path: Path, **options: object) -> list[StudyRecord]:
    records = list(OwnTable(path, **options).records())  # type: ignore[arg-type]
    assert all(isinstance(record, StudyRecord) for record in records)
    return [record for record in records if isinstance(record, StudyRecord)]


def test_columns_named_as_in_mimic_are_found(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "dicom_id,study_id,subject_id,ViewPosition,path,text",
        'a,50,10,PA,p10/a.jpg,"FINDINGS: Heart is large. IMPRESSION: Big heart."',
        'b,50,10,LATERAL,p10/b.jpg,"FINDINGS: Heart is large. IMPRESSION: Big heart."',
    )
    source = OwnTable(path)
    [study] = source.records()
    assert isinstance(study, StudyRecord)
    assert (study.study_id, study.patient_id, study.findings) == ("50", "10", "Heart is large.")
    assert [(image.path.name, image.view_position) for image in study.images] == [
        ("a.jpg", "PA"),
        ("b.jpg", "LATERAL"),
    ]
    assert source.remarks == (
        "columns: image = path, text = text, study_id = study_id, patient_id = subject_id, "
        "view_position = ViewPosition",
        "not read: dicom_id",
        "if a guess is wrong, change it: --columns "
        "image=path,patient_id=subject_id,view_position=ViewPosition",
    )


def test_a_german_export_from_windows_is_read_without_options(tmp_path: Path) -> None:
    draw(tmp_path / "bilder/1.png", tmp_path / "bilder/2.png")
    path = table(
        tmp_path,
        "Fallnummer;Patientennummer;Bilddatei;Aufnahmedatum;Befund;Beurteilung",
        r"2023/001;P-1;D:\PACS\Export\bilder\1.png;01.03.2023;"
        '"Herz größer als zuvor, kein Erguss.";Kardiomegalie.',
        r"2023/002;P-2;D:\PACS\Export\bilder\2.png;02.03.2023;Lunge frei, Herz normal.;nan",
        encoding="cp1252",
    )
    first, second = read(path)
    assert (first.study_id, first.patient_id) == ("2023/001", "P-1")
    assert (first.findings, first.impression) == (
        "Herz größer als zuvor, kein Erguss.",
        "Kardiomegalie.",
    )
    assert first.images[0].path == tmp_path / "bilder/1.png"
    assert second.images[0].path == tmp_path / "bilder/2.png"


def test_an_addendum_in_a_column_of_its_own_corrects_the_report(tmp_path: Path) -> None:
    draw(tmp_path / "1.png", tmp_path / "2.png")
    path = table(
        tmp_path,
        "Bilddatei;Befund;Beurteilung;Nachtrag",
        "1.png;Right effusion and left nodule.;Right effusion.;There is no effusion.",
        "2.png;Clear lungs.;Normal.;",
    )
    source = OwnTable(path)
    assert "addendum = Nachtrag" in source.remarks[0]
    first, second = read(path)
    assert (first.findings, first.impression) == ("Left nodule.", "There is no effusion.")
    assert CORRECTED in first.notes
    assert (second.findings, second.impression, second.notes) == ("Clear lungs.", "Normal.", ())
    path = table(
        tmp_path,
        "image,text,Later note",
        '1.png,"FINDINGS: Left effusion. IMPRESSION: Left effusion.",No effusion on review.',
    )
    [study] = read(path, columns={"addendum": "Later note"})
    assert (study.findings, study.impression) == ("", "No effusion on review.")


def test_images_are_found_in_the_folder_that_holds_them(tmp_path: Path) -> None:
    draw(tmp_path / "images/normalized/1_IM.png", tmp_path / "images/normalized/2_IM.png")
    lines = ["id,filename,caption,Unnamed: 3"]
    lines += [f"{n},{n}_IM.png,The heart and the lungs are normal.," for n in (1, 2)]
    source = OwnTable(table(tmp_path, *lines))
    assert [one.study_id for one in source.records()] == ["1", "2"]
    assert source.remarks[-1] == f"images are in {tmp_path / 'images/normalized'}"
    elsewhere = table(tmp_path / "elsewhere", *lines)
    for images_dir in (tmp_path / "images", tmp_path / "images/normalized"):
        first, _ = read(elsewhere, images_dir=images_dir)
        assert first.images[0].path.is_file()


def test_an_ending_that_the_table_omits_is_added(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", tmp_path / "b.png")
    path = table(
        tmp_path, "image_id,report", "a,The lungs are clear today.", "b,The heart is very large."
    )
    assert [study.images[0].path.name for study in read(path)] == ["a.png", "b.png"]


def test_folders_are_dropped_only_if_images_stay_apart(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    path = table(
        tmp_path, "image,text", "/old/p1/1.png,The lungs are clear.", "/old/p2/1.png,Large heart."
    )
    assert not any(study.images[0].path.is_file() for study in read(path))


def test_a_cell_may_name_several_images(tmp_path: Path) -> None:
    draw(*(tmp_path / f"{name}.png" for name in "abcd"))
    path = table(
        tmp_path,
        "study,images,text",
        "1,a.png;b.png,The lungs are clear.",
        "2,\"['c.png', 'd.png']\",The heart is large.",
    )
    assert [[image.path.name for image in study.images] for study in read(path)] == [
        ["a.png", "b.png"],
        ["c.png", "d.png"],
    ]


def test_labels_in_one_cell_or_under_other_names_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, "Image Index,Finding Labels", "a.png,Mass|Hernia", "b.png,Effusion")
    first, second = read(path)
    assert [sentence.text for sentence in first.label_sentences] == ["Lung mass.", "Hernia."]
    assert second.labels == {"Pleural Effusion": "positive"}
    path = table(tmp_path, "image,pleural_effusion", "a.png,1")
    assert read(path)[0].labels == {"Pleural Effusion": "positive"}


def test_two_columns_that_could_be_meant_are_refused_with_lines_to_paste(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", tmp_path / "b.png")
    path = table(tmp_path, "left,right,text", "a.png,b.png,The lungs are clear.")
    with pytest.raises(UserError) as refused:
        OwnTable(path)
    assert str(refused.value) == (
        f"{path}: 'left' and 'right' hold paths of images; choose one with\n"
        "  --columns image=left\n  --columns image=right"
    )
    path = table(
        tmp_path, "image,First reader,Second", "a.png,The lungs are clear.,The heart is very large."
    )
    with pytest.raises(UserError, match=r"hold long texts; .*\n  --columns 'text=First reader'\n"):
        OwnTable(path)
    assert read(path, columns={"text": "Second"})[0].findings == "The heart is very large."


def test_a_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "image,text,text", "a.png,The lungs are clear.,The heart is large.")
    with pytest.raises(
        UserError, match=r"two columns 'text': rename .*\n  --columns 'text=text \(2"
    ):
        OwnTable(path)
    assert read(path, columns={"text": "text (2)"})[0].findings == "The heart is large."


def test_rows_with_one_weak_number_and_different_reports_are_not_joined(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "Fallnummer,image,text",
        "7,a.png,The lungs are clear.",
        "7,b.png,The heart is large.",
    )
    with pytest.raises(UserError, match=r"(?s)the second:\n  --columns study_id=Fallnummer\n  --c"):
        OwnTable(path)
    assert [one.study_id for one in read(path, columns={"study_id": ""})] == ["row-1", "row-2"]
    assert [one.study_id for one in read(path, columns={"study_id": "Fallnummer"})] == ["7"]


def test_a_column_that_numbers_no_studies_does_not_join_them(tmp_path: Path) -> None:
    rows = [f"CXR,{n}.png,The lungs are clear in {n}." for n in range(30)]
    path = table(tmp_path, "study,image,text", *rows)
    assert len(read(path)) == 30


def test_equal_rows_are_counted_with_their_places(tmp_path: Path) -> None:
    row = "1,a.png,The lungs are clear."
    source = OwnTable(table(tmp_path, "study,image,text", row, "2,b.png,Large heart.", row))
    assert source.rows is None
    assert [one.study_id for one in source.records()] == ["1", "2"]
    assert source.rows is not None
    assert (source.rows.rows, source.rows.repeated) == (3, (f"{tmp_path / 't.csv'}, line 4",))


def json_source(path: Path, *rows: object, **options: object) -> Source:
    lines = "\n".join(json.dumps(row) for row in rows)
    path.write_text(lines if path.suffix == ".jsonl" else json.dumps(rows))
    return open_source(
        path.suffix.removeprefix("."),
        SourceOptions(data_dir=path, **options),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("name", ["export.jsonl", "export.json"])
def test_keys_of_json_objects_are_guessed_as_columns_are(tmp_path: Path, name: str) -> None:
    draw(tmp_path / "1.png", tmp_path / "2.png", tmp_path / "3.png")
    source = json_source(
        tmp_path / name,
        {"Accession": 7, "files": ["1.png", "2.png"], "Befund": "Right effusion.", "ward": 3},
        {"Accession": 8, "files": ["3.png"], "Befund": "Clear lungs.", "Nachtrag": "No nodule."},
    )
    remarks = getattr(source, "remarks", ())
    assert remarks[0] == (
        "columns: images = files, text = Befund, addendum = Nachtrag, study_id = Accession"
    ) or remarks[0].startswith("columns: image = files, text = Befund")
    assert "not read: ward" in remarks
    first, second = source.records()
    assert isinstance(first, StudyRecord) and isinstance(second, StudyRecord)
    assert (first.study_id, first.findings) == ("7", "Right effusion.")
    assert [image.path.name for image in first.images] == ["1.png", "2.png"]
    assert (second.findings, second.impression) == ("Clear lungs.", "No nodule.")


def test_keys_of_json_objects_can_be_named(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    columns = {"image": "a", "text": "b"}
    source = json_source(tmp_path / "s.jsonl", {"a": "1.png", "b": "Effusion."}, columns=columns)
    [study] = source.records()
    assert isinstance(study, StudyRecord) and study.findings == "Effusion."


def test_a_misspelt_key_beside_ours_is_still_refused(tmp_path: Path) -> None:
    row = {"image": "1.png", "text": "Effusion.", "patiant_id": "7"}
    with pytest.raises(UserError, match="unknown key 'patiant_id'"):
        list(json_source(tmp_path / "s.jsonl", row).records())


def test_a_table_with_tabs_is_guessed(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    path = tmp_path / "t.tsv"
    path.write_text("Bilddatei\tBefund\n1.png\tKleiner Erguss, sonst frei.\n")
    [study] = read(path)
    assert study.findings == "Kleiner Erguss, sonst frei."
