"""Sources: what a data set's files become, and which sentence a wrong one gets."""

import gzip
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.errors import NotFoundError, UserError
from indexer.build import build
from indexer.index import Index
from indexer.ingest.plan import image_count
from indexer.sources.jsonl import JsonLines
from indexer.sources.openi import OpenI, packaged_reports, read_reports
from indexer.sources.records import SkippedStudy, StudyRecord, read_split
from indexer.vectors.stored import StoredVectors
from tests.support.builds import build_and_search
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText>
<AbstractText Label="INDICATION">{indication}</AbstractText>
<AbstractText Label="FINDINGS">{findings}</AbstractText>
<AbstractText Label="IMPRESSION">{impression}</AbstractText>
</Abstract></Article></MedlineCitation></eCitation>"""


@pytest.fixture
def openi(tmp_path: Path) -> Path:
    """A small tree in the layout of the collection: studies 1 to 6, some incomplete."""
    root = tmp_path / "openi"
    (root / "images").mkdir(parents=True)
    names = ["1_IM-0001-1001", "1_IM-0001-2001", "2_IM-0002-1001", "4_IM-0004-1001", "10_IM-0009-1"]
    for seed, name in enumerate(names):
        image = Image.fromarray(draw_radiograph(seed, size=(128, 100))).resize((64, 64))
        image.save(root / "images" / f"{name}.dcm.jpg", quality=95)
    (root / "images" / "Thumbs.db").write_bytes(b"x")
    views = {f"{n}.dcm.jpg": "Lateral" if n.endswith("2001") else "Frontal" for n in names}
    (root / "projections.json").write_text(json.dumps(views))
    with gzip.open(root / "nlmcxr_dicom_metadata.csv.gz", "wt") as stream:
        stream.write("imageid,Rows,Columns\n")
        stream.writelines(f"CXR{name},128,100\n" for name in names[:4])
    reports = {
        "1": ("cough", "The heart is large.", "Cardiomegaly."),
        "2": ("", "", "No acute disease."),
        "3": ("", "Clear lungs.", ""),  # no image
        "4": ("pain", "", ""),  # nothing said
        "10": ("", "Lungs &lt;clear&gt; &amp; dry.", ""),
    }
    with tarfile.open(root / "NLMCXR_reports.tgz", "w:gz") as archive:
        for study, (indication, findings, impression) in reports.items():
            xml = XML.format(indication=indication, findings=findings, impression=impression)
            member = tarfile.TarInfo(f"ecgen-radiology/{study}.xml")
            member.size = len(xml.encode())
            archive.addfile(member, io.BytesIO(xml.encode()))
    return root


def test_openi_gives_each_study_in_numeric_order_with_its_views(openi: Path) -> None:
    records = list(OpenI(data_dir=openi).records())
    assert [record.study_id for record in records] == ["1", "2", "3", "4", "10"]
    first = records[0]
    assert isinstance(first, StudyRecord)
    assert [image.view_position for image in first.images] == ["FRONTAL", "LATERAL"]
    assert first.images[0].original_size == (100, 128)
    assert (first.indication, first.findings) == ("cough", "The heart is large.")
    last = records[-1]
    assert isinstance(last, StudyRecord) and last.findings == "Lungs <clear> & dry."
    reasons = {r.study_id: r.reason for r in records if isinstance(r, SkippedStudy)}
    assert reasons == {"3": "no image", "4": "report without findings or impression"}


def test_an_openi_index_finds_its_images(openi: Path, tmp_path: Path) -> None:
    assert build_and_search(OpenI(data_dir=openi), tmp_path) == ["1", "2", "10"]


def test_openi_images_are_embedded_in_their_original_aspect_ratio(
    openi: Path, tmp_path: Path
) -> None:
    build(OpenI(data_dir=openi), ThumbnailEncoder(), tmp_path / "index")
    case = Index.open(tmp_path / "index").cases.find("openi", "1")
    assert case is not None
    assert [(image.width, image.height) for image in case.images] == [(50, 64), (50, 64)]


def test_openi_keeps_only_the_splits_asked_for(openi: Path, tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text('{"train": [1], "val": [2], "test": [10]}')
    splits = read_split(tmp_path / "split.json")
    for keep, expected in (("train", ["1"]), ("val", ["2"]), ("unlisted", ["3", "4"])):
        records = OpenI(data_dir=openi, splits=splits, keep=[keep]).records()
        assert [record.study_id for record in records] == expected


@pytest.mark.parametrize("text", ["[]", "{", '{"train": [1], "test": [1]}', '{"train": 5}'])
def test_a_wrong_split_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UserError, match=r"split"):
        read_split(tmp_path / "split.json")


def test_openi_errors_name_the_expected_files(openi: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder 'images'"):
        OpenI(data_dir=tmp_path)
    with pytest.raises(UserError, match="--data-dir"):
        OpenI()
    (openi / "NLMCXR_reports.tgz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="cannot be read"):
        list(OpenI(data_dir=openi).records())


def test_the_packaged_archive_holds_all_reports() -> None:
    reports = read_reports(packaged_reports())
    assert len(reports) == 3955
    assert sum(bool(r["findings"] or r["impression"]) for r in reports.values()) > 3800


def test_stored_vectors_hold_no_text_and_no_pixels_and_build_the_same_index(
    openi: Path, tmp_path: Path
) -> None:
    build(OpenI(data_dir=openi), ThumbnailEncoder(), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    StoredVectors.write(tmp_path / "stored", index)
    content = b"".join(path.read_bytes() for path in (tmp_path / "stored").iterdir())
    assert b"heart" not in content and str(openi).encode() not in content

    stored = StoredVectors.read(tmp_path / "stored")
    source = OpenI(reports_path=openi / "NLMCXR_reports.tgz", vectors=stored)
    assert image_count(source.records()) == index.manifest.images  # which a progress bar counts
    build(source, stored.encoder, tmp_path / "again")
    again = Index.open(tmp_path / "again")
    assert [c.study_id for c in again.cases] == [c.study_id for c in index.cases]
    _, before = index.vectors.all()
    _, after = again.vectors.all()
    assert np.abs(before - after).max() < 1e-3
    again.require(ThumbnailEncoder())
    case = again.cases.find("openi", "1")
    assert case is not None and case.images[0].path == "1_IM-0001-1001.dcm.jpg"

    with_images = OpenI(data_dir=openi, vectors=stored)
    build(with_images, stored.encoder, tmp_path / "linked")
    case = Index.open(tmp_path / "linked").cases.find("openi", "1")
    assert case is not None
    assert case.images[0].path == str(openi / "images" / "1_IM-0001-1001.dcm.jpg")


def test_an_index_of_stored_vectors_keeps_their_typicality_profile(
    openi: Path, tmp_path: Path
) -> None:
    drawn = write_studies(tmp_path / "studies", 130)
    build(JsonLines(drawn), ThumbnailEncoder(), tmp_path / "drawn")
    build(OpenI(data_dir=openi), ThumbnailEncoder(), tmp_path / "index")
    StoredVectors.write(tmp_path / "stored", Index.open(tmp_path / "index"))
    profile = Index.open(tmp_path / "drawn").read_profile()
    assert profile is not None
    stored = replace(StoredVectors.read(tmp_path / "stored"), image_profile=profile)
    source = OpenI(reports_path=openi / "NLMCXR_reports.tgz", vectors=stored)
    build(source, stored.encoder, tmp_path / "again")
    kept = Index.open(tmp_path / "again").read_profile()
    assert kept is not None and kept.quantiles == profile.quantiles
    assert np.array_equal(kept.prototypes, profile.prototypes)


def test_damaged_stored_vectors_are_refused(openi: Path, tmp_path: Path) -> None:
    build(OpenI(data_dir=openi), ThumbnailEncoder(), tmp_path / "index")
    StoredVectors.write(tmp_path / "stored", Index.open(tmp_path / "index"))
    path = tmp_path / "stored" / "vectors.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="no valid stored vectors"):
        StoredVectors.read(tmp_path / "stored")
    path.unlink()
    with pytest.raises(NotFoundError, match=r"vectors\.safetensors is missing"):
        StoredVectors.read(tmp_path / "stored")


def jsonl(tmp_path: Path, *lines: str) -> list[StudyRecord | SkippedStudy]:
    path = tmp_path / "studies.jsonl"
    path.write_text("\n".join(lines))
    return list(JsonLines(path).records())


def test_a_line_needs_only_an_image_and_a_text(tmp_path: Path) -> None:
    [record] = jsonl(tmp_path, '{"image": "a.png", "text": "FINDINGS: Clear. IMPRESSION: Normal."}')
    assert isinstance(record, StudyRecord)
    assert record.study_id == "line-1"
    assert record.images[0].path == tmp_path / "a.png"
    assert (record.findings, record.impression) == ("Clear.", "Normal.")


def test_all_keys_of_a_line_are_read(tmp_path: Path) -> None:
    line = {
        "study_id": 7,
        "patient_id": "p",
        "images": [{"path": "a.png", "view_position": "AP"}, "b.dcm"],
        "indication": "cough",
        "findings": "f",
        "impression": "i",
        "labels": {"Edema": "uncertain"},
    }
    [record] = jsonl(tmp_path, json.dumps(line), "")
    assert isinstance(record, StudyRecord)
    assert (record.study_id, record.patient_id, record.labels) == ("7", "p", line["labels"])
    assert [image.view_position for image in record.images] == ["AP", None]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "expected a JSON object"),
        ("{", "invalid JSON"),
        ('{"image": "a.png", "txt": "b"}', "unknown key 'txt'"),
        ('{"image": 5, "text": "b"}', "is not an image path"),
        ('{"image": "a.png", "text": 5}', "'text' must be text"),
        ('{"study_id": "a\\u0007", "image": "a.png", "text": "b"}', "cannot be used"),
        ('{"image": "a.png", "text": "b", "labels": {"Oedema": "positive"}}', "'Oedema'"),
        ('{"image": "a.png", "text": "b", "labels": {"Edema": 1}}', "state '1'"),
        ('{"image": "a.png", "text": "b", "view_position": "left"}', "view_position 'left'"),
    ],
)
def test_an_invalid_line_is_named_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    good = '{"image": "a.png", "text": "Clear."}'
    with pytest.raises(UserError, match=message) as caught:
        jsonl(tmp_path, good, line)
    assert "line 2" in str(caught.value)


def test_a_study_listed_twice_is_refused(tmp_path: Path) -> None:
    line = '{"study_id": "a", "image": "a.png", "text": "Clear."}'
    with pytest.raises(UserError, match=r"line 2.*'a' occurs twice"):
        jsonl(tmp_path, line, line)


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        JsonLines(tmp_path / "nowhere.jsonl")
    (tmp_path / "latin.jsonl").write_bytes('{"text": "é"}'.encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        list(JsonLines(tmp_path / "latin.jsonl").records())


def test_openi_records_know_their_comparison_and_split(openi: Path) -> None:
    source = OpenI(data_dir=openi, splits={"1": "train"}, keep=())
    first = next(source.records())
    assert isinstance(first, StudyRecord)
    assert (first.comparison, first.split) == ("None.", "train")


def test_a_split_file_overrides_the_splits_of_json_lines(tmp_path: Path) -> None:
    lines = ['{"study_id": "a", "image": "a.png", "text": "Clear.", "split": "train"}'] * 2
    lines[1] = lines[1].replace('"a"', '"b"')
    (tmp_path / "s.jsonl").write_text("\n".join(lines))
    found = list(JsonLines(tmp_path / "s.jsonl", split="val", listed={"b": "val"}).records())
    assert [(r.study_id, r.split) for r in found if isinstance(r, StudyRecord)] == [("b", "val")]
