"""Indexes that are built for tests, and a source taken the whole way: audited, built, searched."""

from pathlib import Path

from indexer.audit.run import audit
from indexer.build import build
from indexer.index import Index
from indexer.sources.jsonl import JsonLines
from indexer.sources.records import Source
from retriever.search import Retriever
from tests.support.fakes import ThumbnailEncoder, write_studies

STUDIES = 60


def an_index_to_publish(folder: Path) -> Path:
    """Return its directory; its studies are in ``folder/studies``, three a patient."""
    source = JsonLines(write_studies(folder / "studies", STUDIES, per_patient=3))
    build(source, ThumbnailEncoder(), folder / "index")
    return folder / "index"


def build_and_search(source: Source, directory: Path) -> list[str]:
    """The ids of the studies indexed; the first of them is found by its own images."""
    usable = audit(source).count("studies", "usable").count
    build(source, ThumbnailEncoder(), directory / "index")
    index = Index.open(directory / "index")
    cases = list(index.cases)
    assert {case.source for case in cases} == {source.name}
    images = [Path(image.path) for image in cases[0].images if image.path is not None]
    retriever = Retriever(index, ThumbnailEncoder())
    [hit] = retriever.search(images, k=1, exclude_near_duplicates=False).hits
    assert hit.case == cases[0]
    assert usable == len(cases)
    return [case.study_id for case in cases]
