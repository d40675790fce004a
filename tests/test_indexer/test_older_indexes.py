"""Indexes of format 2, written before format 3: they open as they stand and can be upgraded.

``tests/data/index_format_2`` holds small ones of drawn images, and beside each what was read back
from it then: its manifest, its cases, and the hits of searches with four drawn images.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from db.errors import UserError
from indexer.build import add
from indexer.images.reader import encode_png
from indexer.index import Index
from indexer.manifest import FORMAT_VERSION
from indexer.remove import RemovalTarget, remove
from indexer.sources.jsonl import JsonLines
from indexer.upgrade import upgrade
from indexer.verify import verify
from indexer.versions import Versions
from retriever.search import Retriever
from tests.conftest import ROOT
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph

FIXTURES = ROOT / "tests" / "data" / "index_format_2"
NAMES = ("exact", "ivf", "versions")


@pytest.fixture(params=NAMES)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Any]]:
    """A copy of one index, and what was read from it when it was written."""
    name = request.param
    shutil.copytree(FIXTURES / name, tmp_path / "index")
    yield tmp_path / "index", json.loads((FIXTURES / f"{name}.json").read_text())


def assert_same_content(index_dir: Path, expected: Any) -> None:
    index = Index.open(index_dir)
    assert index.manifest.fingerprint == expected["manifest"]["fingerprint"]
    assert index.manifest.contents == expected["manifest"]["contents"]
    assert all(case.study_date is None for case in index.cases)
    cases = [asdict(case) for case in index.cases]
    undated = [{**case, "study_date": None} for case in expected["cases"]]
    assert json.loads(json.dumps(cases)) == undated
    retriever = Retriever(index, ThumbnailEncoder())
    for seed, found in expected["searches"].items():
        image = encode_png(draw_radiograph(int(seed), size=(96, 80)))
        whole = retriever.search([image], k=4, exclude_near_duplicates=False)
        hits = [[hit.rank, hit.case.study_id, round(hit.score, 5)] for hit in whole.hits]
        assert hits == found["hits"]
        strict = retriever.search([image], k=4)
        hits = [[hit.case.study_id, round(hit.score, 5)] for hit in strict.hits]
        assert hits == found["hits_without_near_duplicates"]
        assert [one.study_id for one in strict.excluded_cases] == found["left_out"]
    index.close()


def test_an_index_of_format_2_opens_as_it_stands(written: tuple[Path, Any]) -> None:
    index_dir, expected = written
    before = {path: path.read_bytes() for path in index_dir.rglob("*") if path.is_file()}
    assert Index.open(index_dir).manifest.format_version == 2
    assert_same_content(index_dir, expected)
    assert {path: path.read_bytes() for path in index_dir.rglob("*") if path.is_file()} == before


def test_an_upgrade_keeps_cases_vectors_and_fingerprint(written: tuple[Path, Any]) -> None:
    index_dir, expected = written
    old = Index.open(index_dir)
    vectors = old.vectors.all()
    manifest = upgrade(index_dir)
    assert manifest is not None and manifest.format_version == FORMAT_VERSION
    assert manifest.version == old.manifest.version + 1 and manifest.made_by == "upgrade"
    assert manifest.history[-1].version == old.manifest.version
    assert manifest.withdrawn == old.manifest.withdrawn
    assert_same_content(index_dir, expected)
    new = Index.open(index_dir)
    assert np.array_equal(new.vectors.all()[0], vectors[0])
    assert np.array_equal(new.vectors.all()[1], vectors[1])
    assert np.array_equal(new.image_vectors, old.image_vectors)
    assert np.array_equal(new.read_sample().outlines, old.read_sample().outlines)
    assert verify(index_dir) == []
    assert not [path for path in new.path.iterdir() if "film" in path.name]
    assert faiss.read_index(str(new.path / "vectors.faiss")).ntotal == new.manifest.studies
    assert upgrade(index_dir) is None


def test_an_index_of_format_2_is_added_to_and_removed_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.build.LABELLER_VERSION", "rules-1")  # which labelled the fixture
    shutil.copytree(FIXTURES / "exact", tmp_path / "index")
    more = write_studies(tmp_path / "more", 3)
    added = add(JsonLines(more, name="more"), ThumbnailEncoder(), tmp_path / "index")
    assert added.manifest.format_version == FORMAT_VERSION and added.manifest.studies == 9
    removed = remove(
        tmp_path / "index", RemovalTarget(patient_id="p1", source="local"), everywhere=True
    )
    assert removed.rewritten == (1, 2)
    formats = [one.format_version for one in Versions(tmp_path / "index").kept().values()]
    assert set(formats) == {FORMAT_VERSION}
    assert verify(tmp_path / "index") == []


def test_a_profile_of_format_2_keeps_its_measures(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "ivf", tmp_path / "index")
    index = Index.open(tmp_path / "index")
    stated = index.manifest.image_quantiles
    if stated is None:
        assert index.read_profile() is None
        return
    profile = index.read_profile()
    assert profile is not None
    assert profile.quantiles["similarity"] == stated["likeness"]


def test_exact_vectors_of_format_2_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "exact", tmp_path / "index")
    [folder] = (tmp_path / "index" / "versions").iterdir()
    size = (folder / "case_ids.npy").stat().st_size
    np.save(folder / "case_ids.npy", np.arange(6, dtype=np.int64).reshape(6, 1))
    assert (folder / "case_ids.npy").stat().st_size == size
    with pytest.raises(UserError, match="is damaged"):
        Index.open(tmp_path / "index")
