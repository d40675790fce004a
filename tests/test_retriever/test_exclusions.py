"""An exclusion that excludes nothing, images of two patients, and images under another header."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from db.errors import UserError
from indexer.build import build
from indexer.images.radiograph import SEVERAL_STUDIES, Subject, TwoPatientsError, as_one_study
from indexer.sources.jsonl import JsonLines
from retriever.options import SearchOptions
from retriever.query import image_query, read_images
from retriever.search import Retriever
from tests.support.dicoms import write_dicom
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph

RADIOGRAPH = draw_radiograph(3, size=(96, 80))


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    folder = tmp_path_factory.mktemp("studies")
    studies = write_studies(folder, 12, per_patient=3)
    build(JsonLines(studies), ThumbnailEncoder(), folder / "index")
    return Retriever.open(folder / "index", ThumbnailEncoder())


@pytest.mark.parametrize(
    ("excluded", "words"),
    [
        ({"exclude_patient_ids": ["p0 "]}, "no patient 'p0 '.*did you mean 'p0'?"),
        ({"exclude_patient_ids": ["P0"]}, "no patient 'P0'.*did you mean 'p0'?"),
        ({"exclude_patient_ids": ["p1", "nobody"]}, "no patient 'nobody'.*check the id"),
        ({"exclude_study_ids": ["s11 "]}, "no study 's11 '.*did you mean 's11'?"),
        ({"exclude_study_ids": ["local:99999"]}, "no study 'local:99999'.*not in the index"),
        ({"exclude_study_ids": ["elsewhere:1"]}, "no study 'elsewhere:1'"),
        ({"exclude_study_ids": [""]}, "no study ''"),
    ],
)
def test_an_exclusion_that_matches_no_case_is_refused(
    retriever: Retriever, excluded: dict[str, Sequence[str]], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        retriever.search(RADIOGRAPH, **excluded)


def test_a_study_may_be_excluded_as_its_case_is_printed(retriever: Retriever) -> None:
    (first,) = retriever.search(RADIOGRAPH, k=1).hits
    for name in (first.case.study_id, f"{first.case.source}:{first.case.study_id}"):
        (other,) = retriever.search(RADIOGRAPH, k=1, exclude_study_ids=[name]).hits
        assert other.case.study_id != first.case.study_id


def test_a_search_within_the_program_may_exclude_what_is_not_indexed(retriever: Retriever) -> None:
    query = image_query(retriever.encoder, read_images(RADIOGRAPH))
    assert retriever.find(query, SearchOptions(exclude_patient_ids=["held out"])).hits


def written(folder: Path, **headers: str | None) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.dcm"
    return write_dicom(path, draw_radiograph(len(path.name), size=(96, 80)), **headers)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({"PatientID": "A1"}, {"PatientID": "B2"}, "patient 'A1', image 2 of patient 'B2'"),
        (
            {"PatientID": "A1", "PatientBirthDate": "19500101"},
            {"PatientID": "A1", "PatientBirthDate": "19510101"},
            "two patients",
        ),
        (
            {"PatientID": None, "PatientName": "Roe^Ann"},
            {"PatientID": "", "PatientName": "Doe^Jim"},
            "a patient without an id",
        ),
    ],
)
def test_images_of_two_patients_are_refused_with_both_ids(
    tmp_path: Path, one: dict[str, str | None], other: dict[str, str | None], words: str
) -> None:
    with pytest.raises(TwoPatientsError, match=words) as caught:
        read_images([written(tmp_path, **one), written(tmp_path, **other)])
    assert "Roe" not in str(caught.value)


def test_a_third_image_of_another_patient_is_found(tmp_path: Path) -> None:
    plain = RADIOGRAPH
    first, last = written(tmp_path, PatientID="A1"), written(tmp_path, PatientID="B2")
    with pytest.raises(TwoPatientsError, match="image 1 is of patient 'A1', image 3 of"):
        read_images([first, plain, last])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"PatientID": "A1"}, {"PatientID": "A1 "}),
        ({"PatientID": "A1", "PatientName": "Roe^Ann"}, {"PatientID": "A1", "PatientName": "Roe"}),
        (
            {"PatientID": "A1", "PatientName": "Roe^Ann"},
            {"PatientID": "", "PatientName": "ROE ANN"},
        ),
        ({"PatientID": "", "PatientName": ""}, {"PatientID": "A1"}),
    ],
)
def test_images_that_may_be_of_one_patient_are_taken(
    tmp_path: Path, one: dict[str, str], other: dict[str, str]
) -> None:
    assert len(read_images([written(tmp_path, **one), written(tmp_path, **other)])) == 2


def test_images_of_two_studies_of_one_patient_are_noted_once(tmp_path: Path) -> None:
    paths = [written(tmp_path, StudyInstanceUID=f"1.2.{number}") for number in range(2)]
    images = read_images(read_images(paths))
    assert [image.notes.count(SEVERAL_STUDIES) for image in images] == [1, 0]
    assert read_images([paths[0]])[0].notes == ()


def test_the_subject_of_a_header_is_not_printed() -> None:
    assert "Roe" not in repr(Subject(patient_id="1", name="Roe^Ann"))
    assert as_one_study([]) == []


def test_an_image_under_another_header_is_searched_with_on_demand(
    retriever: Retriever, tmp_path: Path
) -> None:
    path = write_dicom(tmp_path / "image.dcm", RADIOGRAPH, Modality="CT", BodyPartExamined="KNEE")
    with pytest.raises(UserError, match="CT, not a radiograph"):
        retriever.search(path)
    found = retriever.search(path, accept_as_chest=True)
    assert found.hits and any("read as a chest X-ray" in note for note in found.notes)
