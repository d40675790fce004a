"""What an index knows of a study that is to be held out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.build import build
from indexer.images.reader import read_radiograph
from indexer.sources.jsonl import JsonLines
from retriever.overlap import Overlap
from retriever.search import Retriever
from tests.support.fakes import ThumbnailEncoder, write_studies


@pytest.fixture
def retriever(tmp_path: Path) -> Retriever:
    build(JsonLines(write_studies(tmp_path, 4)), ThumbnailEncoder(), tmp_path / "index")
    return Retriever.open(tmp_path / "index", ThumbnailEncoder())


def test_a_study_and_its_patient_are_found_by_id(retriever: Retriever) -> None:
    overlap = Overlap([retriever])

    def found(study: str, patient: str | None, source: str = "local") -> str | None:
        return overlap.find_ids(source=source, study_id=study, patient_id=patient)

    assert (found("s1", "p9") or "").startswith("it is in")
    assert (found("new", "p1") or "").startswith("its patient p1 is in")
    assert found("new", "p9") is None and found("new", None) is None


def test_ids_of_another_source_are_warned_of(
    retriever: Retriever, caplog: pytest.LogCaptureFixture
) -> None:
    overlap = Overlap([retriever])
    overlap.warn()
    assert not caplog.text
    assert overlap.find_ids(source="other", study_id="s1", patient_id="p1") is None
    assert overlap.find_ids(source="other", study_id="s8", patient_id=None) is None
    overlap.warn()
    assert "1 patient ids also occur in the index under another source name (p1)" in caplog.text
    assert "1 held-out studies have no patient id" in caplog.text


def test_an_image_and_a_near_duplicate_are_found_under_any_name(
    retriever: Retriever, tmp_path: Path
) -> None:
    overlap = Overlap([retriever])
    with Image.open(tmp_path / "2.png") as image:
        image.save(tmp_path / "again.bmp")
        pixels = np.asarray(image)
    Image.fromarray(np.minimum(pixels, 250) + 4).save(tmp_path / "brighter.png")
    Image.fromarray(pixels[:, ::-1]).save(tmp_path / "turned.png")

    def found(name: str) -> str | None:
        return overlap.find_images([read_radiograph(tmp_path / name)])

    assert (found("again.bmp") or "").endswith("has the same image in study s2")
    assert (found("brighter.png") or "").endswith("has a near duplicate of the image in study s2")
    assert found("turned.png") is None


def test_several_indexes_are_asked(retriever: Retriever, tmp_path: Path) -> None:
    other = write_studies(tmp_path / "more", 6)
    lines = [json.loads(line) for line in other.read_text().splitlines()][4:]
    other.write_text("".join(json.dumps(line) + "\n" for line in lines))
    build(JsonLines(other), ThumbnailEncoder(), tmp_path / "second")
    both = Overlap([retriever, Retriever.open(tmp_path / "second", ThumbnailEncoder())])
    found = both.find_ids(source="local", study_id="s5", patient_id=None)
    assert found is not None and "second" in found
    assert both.find_images([read_radiograph(tmp_path / "more" / "4.png")]) is not None
