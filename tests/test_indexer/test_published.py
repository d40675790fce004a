"""An index in PostgreSQL: the same hits as from its files, versions that switch whole."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import URL

from api.pipeline.current_index import reopening
from db.engines.location import shown
from db.errors import NotFoundError, UnavailableError, UserError
from db.index.published import PublishedVersion
from indexer.__main__ import main
from indexer.build import add, build
from indexer.index import Index
from indexer.published import open_index, publish, pull
from indexer.sources.jsonl import JsonLines
from indexer.verify import verify
from indexer.versions import current_folder
from retriever.options import SearchOptions
from retriever.search import Retriever
from tests.support.databases import PostgresServer, run_sql
from tests.support.fakes import ThumbnailEncoder, write_studies

STUDIES = 60


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    source = JsonLines(write_studies(folder / "studies", STUDIES, per_patient=3))
    build(source, ThumbnailEncoder(), folder / "index")
    return folder / "index"


@pytest.fixture
def url(postgresql_server: PostgresServer) -> URL:
    """Of a database without tables."""
    return postgresql_server.empty()


@pytest.fixture
def published(index_dir: Path, url: URL) -> Iterator[Index]:
    publish(index_dir, url)
    index = open_index(url)
    yield index
    index.close()


def test_a_published_index_holds_the_same_cases_and_vectors(
    published: Index, index_dir: Path
) -> None:
    index = Index.open(index_dir)
    assert published.manifest == index.manifest
    assert list(published.cases) == list(index.cases)
    for one, other in zip(published.vectors.all(), index.vectors.all(), strict=True):
        assert np.array_equal(one, other)
    assert list(published.cases.image_hashes()) == list(index.cases.image_hashes())
    for one, other in zip(published.cases.state_table(), index.cases.state_table(), strict=True):
        assert np.array_equal(one, other)
    places = np.array([5, 0, 17])
    assert np.array_equal(published.image_vectors[places], index.image_vectors[places])
    assert published.image_vectors[places[:0]].shape == (0, index.vectors.dim)


def test_a_thousand_exact_searches_have_the_same_hits_scores_and_order(
    published: Index, index_dir: Path
) -> None:
    vectors, draw = Index.open(index_dir).vectors, np.random.default_rng(7)
    for number in range(1000):
        query = draw.standard_normal(vectors.dim).astype(np.float32)
        query = vectors.vector(int(draw.integers(STUDIES))) + number % 3 * 0.1 * query
        query /= np.linalg.norm(query)
        rules = {"exclude": draw.permutation(STUDIES + 9)[: int(draw.integers(0, STUDIES + 9))]}
        if number % 2:
            rules["only"] = draw.permutation(STUDIES + 9)[: int(draw.integers(0, STUDIES + 9))]
        k = int(draw.integers(1, 12))
        ids, scores = vectors.search(query, k, **rules)
        found, theirs = published.vectors.search(query, k, **rules)
        assert np.array_equal(found, ids) and np.array_equal(theirs, scores), (number, k, rules)


def test_a_retriever_finds_the_same_on_the_server(index_dir: Path, url: URL) -> None:
    publish(index_dir, url)
    address = url.render_as_string(hide_password=False)
    there, here = (Retriever.open(one, ThumbnailEncoder()) for one in (address, index_dir))
    case = next(iter(here.index.cases))
    image = here.index.cases.get([case.case_id])[0].images[0].path
    for options in (
        SearchOptions(k=5),
        SearchOptions(k=5, exclude_patient_ids=(str(case.patient_id),)),
        SearchOptions(k=9, exclude_near_duplicates=False, distinct_reports=False),
        SearchOptions(k=5, labels=("Cardiomegaly",)),
    ):
        assert there.search([image], options) == here.search([image], options)
    again = reopening(url)(there)
    assert again.search([image], SearchOptions(k=5)) == here.search([image], SearchOptions(k=5))
    for one in (again, there):
        one.index.close()


def test_equal_vectors_come_in_the_order_of_their_ids(url: URL, tmp_path: Path) -> None:
    source = JsonLines(write_studies(tmp_path / "studies", 40))
    build(source, ThumbnailEncoder(), tmp_path / "index")
    publish(tmp_path / "index", url)
    table = f'"{schema_of(url)}".vectors'
    run_sql(url, f"UPDATE {table} SET embedding = (SELECT embedding FROM {table} LIMIT 1)")
    index = open_index(url)
    query = index.vectors.vector(0)
    for k in (1, 5, 23, 40):
        ids, scores = index.vectors.search(query, k)
        assert ids.tolist() == list(range(k)) and len(set(scores.tolist())) == 1
    index.close()


def schema_of(url: URL) -> str:
    version = PublishedVersion.open(url)
    version.close()
    return version.schema


def test_hnsw_proposes_and_float32_decides(index_dir: Path, url: URL) -> None:
    done = publish(index_dir, url, hnsw_from=1)
    assert done.recall is not None and done.recall >= 0.97
    index, files = open_index(url), Index.open(index_dir).vectors
    draw = np.random.default_rng(3)
    for number in range(50):
        query = files.vector(number)
        exclude = draw.permutation(STUDIES)[: number % 40]
        ids, scores = files.search(query, 5, exclude=exclude)
        found, theirs = index.vectors.search(query, 5, exclude=exclude)
        assert np.array_equal(found, ids) and np.array_equal(theirs, scores)
    index.close()


def test_a_recall_that_is_too_low_publishes_nothing(index_dir: Path, url: URL) -> None:
    with pytest.raises(UserError, match=r"HNSW finds \d\.\d+ of the 10 nearest cases, less than"):
        publish(index_dir, url, hnsw_from=1, min_recall=1.1)
    with pytest.raises(NotFoundError, match="holds no index: publish one"):
        open_index(url)


def test_a_new_version_is_current_at_once_and_readers_stay_on_theirs(
    url: URL, tmp_path: Path
) -> None:
    root, encoder = tmp_path / "index", ThumbnailEncoder()
    build(JsonLines(write_studies(tmp_path / "one", 8)), encoder, root)
    publish(root, url)
    before = open_index(url)
    with pytest.raises(UserError, match="has this index already, as version 1"):
        publish(root, url)
    first = tmp_path / "first"
    pull(url, first)
    add(JsonLines(write_studies(tmp_path / "two", 12), name="more"), encoder, root)
    publish(root, url)
    after = open_index(url)
    assert (before.manifest.studies, after.manifest.studies) == (8, 20)
    assert before.vectors.search(after.vectors.vector(3), 20)[0].tolist() != []
    assert (before.cases.count(), after.cases.count()) == (8, 20)
    with pytest.raises(UserError, match="has version 2 already, later than version 1"):
        publish(first, url)
    add(JsonLines(write_studies(tmp_path / "three", 2), name="last"), encoder, root)
    publish(root, url)  # the first version goes
    with pytest.raises(UnavailableError, match="cannot be read"):
        before.vectors.vector(0)
    before.close()
    after.close()


def test_a_pulled_index_has_the_same_files(index_dir: Path, url: URL, tmp_path: Path) -> None:
    publish(index_dir, url)
    manifest = pull(url, tmp_path / "copy")
    one, other = current_folder(index_dir), current_folder(tmp_path / "copy")
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes(), path.name
    assert manifest == Index.open(tmp_path / "copy").manifest
    assert not list(verify(tmp_path / "copy"))
    with pytest.raises(UserError, match="has this index already"):
        pull(url, tmp_path / "copy")


def test_a_damaged_file_is_not_pulled(index_dir: Path, url: URL, tmp_path: Path) -> None:
    publish(index_dir, url)
    files = f'"{schema_of(url)}".files'
    run_sql(url, f"UPDATE {files} SET content = '' WHERE name = 'cases.sqlite'")
    with pytest.raises(UserError, match=r"holds another cases\.sqlite than was published"):
        pull(url, tmp_path / "copy")
    assert not (tmp_path / "copy" / "manifest.json").exists()


def test_the_commands_publish_and_pull(
    index_dir: Path, url: URL, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = url.set(password="Sesam").render_as_string(hide_password=False)
    assert main(["publish", str(index_dir), address]) == 0
    assert f"{STUDIES} studies of {index_dir} published as version 1" in capsys.readouterr().out
    assert main(["pull", address, str(tmp_path / "copy")]) == 0
    said = capsys.readouterr().out
    assert f"written to {tmp_path / 'copy'} as version 1" in said and "Sesam" not in said
    assert main(["pull", address, str(tmp_path / "copy")]) == 1
    gone = url.set(host="127.0.0.1", port=1, query={})
    assert main(["publish", str(index_dir), gone.render_as_string(hide_password=False)]) == 1
    assert f"error: {shown(gone)} cannot be used for an index" in capsys.readouterr().err


def test_an_index_without_pgvector_is_one_sentence(
    index_dir: Path, url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.index.publishing.EXTENSION", "no_such_extension")
    with pytest.raises(UserError, match="lacks pgvector: install the extension"):
        publish(index_dir, url)
