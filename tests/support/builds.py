"""A source taken the whole way: audited, built, opened, searched."""

from pathlib import Path

from indexer.audit.run import audit
from indexer.build import build
from indexer.index import Index
from indexer.sources.records import Source
from retriever.search import Retriever
from tests.support.fakes import ThumbnailEncoder


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
