"""Studies of one's own: CSV, Parquet, JSON, and Hugging Face data sets in local folders."""

import csv
import io
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from db.errors import NotFoundError, UserError
from db.labels import OBSERVATIONS, STATES
from indexer.build import build
from indexer.reports.sections.markup import plain_text
from indexer.reports.sections.parse import parse_report
from indexer.reports.sections.statements import says_nothing
from indexer.sources.hub import HubDataset
from indexer.sources.jsonl import JsonLines
from indexer.sources.own_table import OwnTable
from indexer.sources.records import TWO_PATIENTS, Record, SkippedStudy, Source, StudyRecord
from indexer.sources.split_choice import SplitChoice
from tests.support.builds import build_and_search
from tests.support.dicoms import write_dicom
from tests.support.fakes import ThumbnailEncoder
from tests.support.radiographs import draw_radiograph


def png(seed: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(draw_radiograph(seed, size=(96, 80))).save(out, "PNG")
    return out.getvalue()


def write_csv(tmp_path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "studies.csv"
    path.write_text("\n".join(lines), encoding=encoding)
    for seed in range(4):
        (tmp_path / f"{seed}.png").write_bytes(png(seed))
    return path


def studies(records: list[Record]) -> list[StudyRecord]:
    assert all(isinstance(record, StudyRecord) for record in records)
    return [record for record in records if isinstance(record, StudyRecord)]


def test_rows_of_one_study_are_its_views_and_its_reports(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path,
        "study_id,patient_id,image,view_position,findings,impression,split,Edema,Fracture,Notes",
        "s1,7,0.png,PA,Heart is large.,Big heart.,train,,0,x",
        "s2,8,2.png,XTABLE LATERAL,Clear.,,val,-1,,",
        "s1,7,1.png,LL,Heart is large.,Addendum: a small effusion.,train,1,0,",
        "s1,7,1.png,LL,Heart is large.,Addendum: a small effusion.,train,1,0,",
        encoding="latin-1",
    )
    first, second = studies(list(OwnTable(path).records()))
    assert [(image.path.name, image.view_position) for image in first.images] == [
        ("0.png", "PA"),
        ("1.png", "LATERAL"),
    ]
    assert first.findings == "Heart is large."
    assert first.impression == "Big heart.\n\nAddendum: a small effusion."
    assert first.labels == {"Edema": "positive", "Fracture": "negative"}
    assert (first.patient_id, first.split) == ("7", "train")
    assert second.images[0].view_position == "LATERAL"
    assert second.labels == {"Edema": "uncertain"}  # an empty cell is no negative


def test_other_column_names_can_be_mapped(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "File;Report;Auge", '0.png;"FINDINGS: Clear. IMPRESSION: Ok.";x')
    columns = {"image": "File", "text": "Report"}
    [study] = studies(list(OwnTable(path, columns=columns).records()))
    assert (study.study_id, study.findings, study.impression) == ("row-1", "Clear.", "Ok.")
    assert study.labels is None
    with pytest.raises(UserError, match="no column 'Bericht', which --columns names"):
        list(OwnTable(path, columns={"image": "File", "text": "Bericht"}).records())
    with pytest.raises(UserError, match="'txt' is not one of"):
        list(OwnTable(path, columns={"txt": "Report"}).records())
    path = write_csv(tmp_path, "Nummer;Auge", "7;x")
    with pytest.raises(UserError, match=r"no column 'image': it has Nummer, Auge; name another"):
        list(OwnTable(path).records())
    with pytest.raises(UserError, match="no column 'text', 'findings', 'impression' or for an obs"):
        list(OwnTable(path, columns={"image": "Nummer"}).records())


@pytest.mark.parametrize(
    "cell", ["nan", "NaN", "N/A", "None", "null", ".", "-", "<NA>", "Röntgen Thorax p.a."]
)
def test_a_cell_that_says_nothing_is_no_findings(tmp_path: Path, cell: str) -> None:
    path = write_csv(tmp_path, "study_id,image,findings,impression", f"a,0.png,{cell},Normal.")
    [study] = studies(list(OwnTable(path).records()))
    assert (study.findings, study.impression) == ("", "Normal.")
    path = write_csv(tmp_path, "study_id,image,findings", f"a,0.png,{cell}")
    assert isinstance(next(OwnTable(path).records()), SkippedStudy)
    (tmp_path / "s.json").write_text(json.dumps([{"image": "0.png", "findings": cell}]))
    assert isinstance(next(JsonLines(tmp_path / "s.json").records()), SkippedStudy)


def test_labels_without_a_text_become_sentences(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "image,Edema,Fracture,Pneumonia", "0.png,uncertain,0.0,", "1.png,,,")
    first, second = OwnTable(path).records()
    assert isinstance(first, StudyRecord)
    assert [s.text for s in first.label_sentences] == ["Possible pulmonary edema.", "No fracture."]
    assert isinstance(second, SkippedStudy)
    (tmp_path / "studies.csv").write_text("image,Edema\n0.png,maybe\n")
    with pytest.raises(UserError, match=r"line 2: 'maybe' under 'Edema' is not 1, 0, -1, positive"):
        list(OwnTable(path).records())


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(NotFoundError, match="a CSV or Parquet file, or a folder of Parquet"):
            OwnTable(path)


def test_splits_are_a_column_or_a_split_file(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "study_id,image,text,split", "a,0.png,Ok.,train", "b,1.png,Ok.,test")
    keep = frozenset({"test"})
    assert [r.study_id for r in OwnTable(path, choice=SplitChoice(keep=keep)).records()] == ["b"]
    choice = SplitChoice(keep=keep, listed={"a": "test"})
    assert [r.study_id for r in OwnTable(path, choice=choice).records()] == ["a"]


def test_parquet_holds_paths_or_the_images_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    for seed in (0, 1):
        image = {"bytes": png(seed), "path": "any.png"}
        row = {"image": image, "text": "Clear lungs.", "study_id": seed, "Edema": float("nan")}
        pyarrow.parquet.write_table(
            pyarrow.Table.from_pylist([row, row]), folder / f"{seed}.parquet"
        )
    with pytest.raises(UserError, match="name a folder for the images with --images-dir"):
        list(OwnTable(folder).records())
    images = tmp_path / "films"
    first, second = studies(list(OwnTable(folder, images_dir=images).records()))
    assert first.images[0].path.read_bytes() == png(0) and first.images[0].path.suffix == ".png"
    assert (second.study_id, len(second.images)) == ("1", 1)  # a duplicated row
    assert len(list(images.iterdir())) == 2
    source = OwnTable(folder, images_dir=images)
    assert build_and_search(source, tmp_path) == ["0", "1"]


@pytest.mark.parametrize("form", ["studies.csv", "studies.json", "studies.jsonl"])
def test_an_index_of_your_own_studies_finds_their_images(form: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path, "study_id,image,findings", "s1,0.png,Big heart.", "s2,1.png,Clear.")
    source: Source = OwnTable(path)
    if form != path.name:
        with path.open() as stream:
            lines = [json.dumps(row) for row in csv.DictReader(stream)]
        path = tmp_path / form
        path.write_text(f"[{','.join(lines)}]" if form.endswith(".json") else "\n".join(lines))
        source = JsonLines(path)
    assert build_and_search(source, tmp_path / "out") == ["s1", "s2"]


def test_a_json_file_is_a_list_of_the_objects_of_json_lines(tmp_path: Path) -> None:
    objects = [{"image": "a.png", "text": "Clear.", "split": "val"}, {"image": "b.png"}]
    objects[1]["labels"] = ["Mass", "Hernia"]  # type: ignore[assignment]
    (tmp_path / "s.json").write_text(json.dumps(objects))
    first, second = studies(list(JsonLines(tmp_path / "s.json").records()))
    assert (first.study_id, first.findings) == ("line-1", "Clear.")
    assert [s.text for s in second.label_sentences] == ["Lung mass.", "Hernia."]
    assert second.labels == {"Lung Lesion": "positive"}
    assert len(list(JsonLines(tmp_path / "s.json", split="train,val").records())) == 1
    (tmp_path / "s.json").write_text("{}")
    with pytest.raises(UserError, match="expected a list of studies"):
        list(JsonLines(tmp_path / "s.json").records())


LETTERS = st.characters(categories=("Lu", "Ll", "Nd"), max_codepoint=0x17F)
WORDS = (
    st.text(alphabet=LETTERS | st.sampled_from(" .,:;-<&|\\\"'#/"), max_size=30)
    .map(str.strip)
    .filter(lambda text: not text or (plain_text(text) == text and not says_nothing(text)))
)
RECORDS = st.fixed_dictionaries(
    {
        "indication": WORDS,
        "comparison": WORDS,
        "findings": WORDS.filter(lambda text: parse_report(text).findings != ""),
        "impression": WORDS,
        "patient_id": WORDS,
        "labels": st.dictionaries(st.sampled_from(OBSERVATIONS), st.sampled_from(STATES)),
    }
)


@settings(max_examples=50)
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_records_come_back_from_json_csv_and_parquet_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("own")
    objects = [
        {**row, "study_id": f"s{number}", "image": "a.png"} for number, row in enumerate(rows)
    ]
    (folder / "s.jsonl").write_text("\n".join(json.dumps(one) for one in objects))
    from_json = studies(list(JsonLines(folder / "s.jsonl").records()))
    for record, written in zip(from_json, rows, strict=True):
        for name in ("indication", "comparison", "findings", "impression", "labels"):
            assert getattr(record, name) == written[name]
        assert record.patient_id == (written["patient_id"] or None)
    flat = [
        {k: v for k, v in one.items() if k != "labels"}
        | {name: dict(one["labels"]).get(name) for name in OBSERVATIONS}  # type: ignore[call-overload]
        for one in objects
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(flat), folder / "s.parquet")
    from_parquet = studies(list(OwnTable(folder / "s.parquet").records()))
    assert [(r.findings, dict(r.labels or {})) for r in from_parquet] == [
        (r.findings, dict(r.labels or {})) for r in from_json
    ]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import datasets

    root = tmp_path_factory.mktemp("hub")
    names = datasets.ClassLabel(names=["No Finding", "Effusion"])
    features = datasets.Features(
        {
            "photo": datasets.Image(),
            "report": datasets.Value("string"),
            "label": names,
            "many": datasets.Sequence(names),
        }
    )
    rows = {
        "photo": [{"bytes": png(seed), "path": None} for seed in (0, 1)],
        "report": ["FINDINGS: Clear. IMPRESSION: Normal.", None],
        "label": [0, 1],
        "many": [[0], [1]],
    }
    dataset = datasets.Dataset.from_dict(rows, features=features)
    datasets.disable_progress_bars()
    (root / "parquet/data").mkdir(parents=True)
    for split in ("train", "validation"):
        dataset.to_parquet(root / f"parquet/data/{split}-00000-of-00001.parquet")
    dataset.save_to_disk(root / "saved")
    datasets.DatasetDict({"train": dataset, "test": dataset}).save_to_disk(root / "dict")
    return root


@pytest.mark.parametrize(
    ("folder", "splits"),
    [("parquet", ["train", "val"]), ("saved", ["train"]), ("dict", ["train", "test"])],
)
@pytest.mark.parametrize("labels", ["label", "many"])
def test_a_hugging_face_data_set_is_read_from_a_folder(
    hub: Path, tmp_path: Path, folder: str, splits: list[str], labels: str
) -> None:
    columns = {"image": "photo", "text": "report", "labels": labels}
    source = HubDataset(str(hub / folder), columns=columns, images_dir=tmp_path / "films")
    found = studies(list(source.records()))
    assert [study.split for study in found] == [split for split in splits for _ in range(2)]
    report, stated = found[:2]
    assert (report.findings, report.impression) == ("Clear.", "Normal.")
    assert report.images[0].path.read_bytes() == png(0)
    assert [sentence.text for sentence in stated.label_sentences] == ["Pleural effusion."]
    assert stated.labels == {"Pleural Effusion": "positive"}


def test_an_index_of_a_hub_data_set_finds_its_images(hub: Path, tmp_path: Path) -> None:
    columns = {"image": "photo", "text": "report", "labels": "label"}
    choice = SplitChoice(keep=frozenset({"train"}))
    source = HubDataset(
        str(hub / "parquet"), columns=columns, images_dir=tmp_path / "films", choice=choice
    )
    assert build_and_search(source, tmp_path) == ["row-1", "row-2"]


def test_a_path_that_is_not_a_data_set_is_named(hub: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is neither a folder nor a name on the Hub"):
        HubDataset(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="cannot be read as a Hugging Face data set"):
        list(HubDataset(str(tmp_path / "empty")).records())
    with pytest.raises(UserError, match="no column 'image': it has photo, report, label"):
        list(HubDataset(str(hub / "parquet")).records())


def test_rows_that_file_a_study_under_two_patients_are_skipped_with_both_ids(
    tmp_path: Path,
) -> None:
    path = write_csv(
        tmp_path,
        "study_id,patient_id,image,text",
        "s1,p1,0.png,FINDINGS: Clear.",
        "s1,p2,1.png,FINDINGS: Clear.",
        "s2,p1,2.png,FINDINGS: Clear.",
        "s2,,3.png,FINDINGS: Clear.",
    )
    skipped, read = OwnTable(path).records()
    assert isinstance(skipped, SkippedStudy) and isinstance(read, StudyRecord)
    assert (skipped.reason, skipped.detail) == (TWO_PATIENTS, "patients p1, p2")
    assert (read.patient_id, len(read.images)) == ("p1", 2)


def test_images_whose_headers_name_two_patients_are_skipped_in_a_build(tmp_path: Path) -> None:
    for seed, patient in enumerate(("A1", "B2", "A1", "A1")):
        pixels = draw_radiograph(seed, size=(96, 80))
        write_dicom(tmp_path / f"{seed}.dcm", pixels, PatientID=patient)
    path = write_csv(
        tmp_path,
        "study_id,image,text",
        *(f"s{seed // 2},{seed}.dcm,FINDINGS: Clear." for seed in range(4)),
    )
    built = build(OwnTable(path), ThumbnailEncoder(), tmp_path / "index")
    (skipped,) = built.skipped
    assert (skipped.study_id, skipped.reason) == ("s0", TWO_PATIENTS)
    assert "'A1'" in skipped.detail and "'B2'" in skipped.detail
