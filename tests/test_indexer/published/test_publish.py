"""An index in PostgreSQL: the same hits as from its files, versions that switch whole."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import URL

from api.pipeline.current_index import reopening
from db.engines.location import shown
from db.errors import MismatchError, UnavailableError, UserError
from db.index.published import PublishedVersion
from indexer.__main__ import main
from indexer.build import add, build
from indexer.index import Index
from indexer.published.opening import open_index
from indexer.published.publish import PublishOptions, publish, pull
from indexer.sources.jsonl import JsonLines
from indexer.verify import verify
from indexer.versions import current_folder
from retriever.options import SearchOptions
from retriever.search import Retriever
from tests.support.builds import STUDIES, an_index_to_publish
from tests.support.databases import GUARDED, PostgresServer, run_sql
from tests.support.fakes import ThumbnailEncoder, write_studies


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_index_to_publish(tmp_path_factory.mktemp("published"))


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
    assert replace(published.manifest, server=None) == index.manifest
    assert list(published.cases) == list(index.cases)
    for one, other in zip(published.vectors.all(), index.vectors.all(), strict=True):
        assert np.array_equal(one, other)
    assert list(published.cases.image_hashes()) == list(index.cases.image_hashes())
    for one, other in zip(published.cases.state_table(), index.cases.state_table(), strict=True):
        assert np.array_equal(one, other)
    places = np.array([5, 0, 17])
    assert np.array_equal(published.image_vectors[places], index.image_vectors[places])
    assert published.image_vectors[places[:0]].shape == (0, index.vectors.dim)


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
        SearchOptions(k=5, exclude_study_ids=(case.study_id, f"{case.source}:s9")),
        SearchOptions(k=5, labels=("Cardiomegaly",)),
        SearchOptions(k=5, strategy="findings"),
    ):
        assert there.search([image], options) == here.search([image], options)
    again = reopening(url)(there)
    assert again.search([image], SearchOptions(k=5)) == here.search([image], SearchOptions(k=5))
    for one in (again, there):
        one.index.close()


def schema_of(url: URL) -> str:
    version = PublishedVersion.open(url)
    version.close()
    return version.schema


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


def test_a_lost_server_is_a_passing_trouble_of_a_search(
    index_dir: Path, url: URL, postgresql_server: PostgresServer
) -> None:
    publish(index_dir, url)
    retriever = Retriever.open(url, ThumbnailEncoder())
    case = next(iter(retriever.index.cases))
    image = case.images[0].path
    before = retriever.search([image], SearchOptions(k=3))
    with postgresql_server.unreachable(url):
        with pytest.raises(UnavailableError, match="cannot be read") as error:
            retriever.index.vectors.vector(0)
        assert error.value.retry_after > 0
        with pytest.raises(UnavailableError, match=re.escape(shown(url))):
            retriever.search([image], SearchOptions(k=3, exclude_study_ids=("s9",)))
    assert retriever.search([image], SearchOptions(k=3)) == before
    retriever.index.close()


BROKEN = {
    "a wrong password": ({"username": GUARDED, "password": "wrong"}, "password authentication"),
    "an unreachable host": ({"host": "127.0.0.1", "port": 1, "query": {}}, "cannot be used for an"),
    "an unknown database": ({"database": "nowhere"}, "does not exist"),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize(
    "command",
    ["publish HERE URL", "pull URL out", "verify URL", "info URL", "remove URL --study s1",
     "build --source jsonl --data-dir IN --out URL", "merge HERE URL --out out"],
)  # fmt: skip
def test_a_server_that_cannot_be_used_is_one_sentence(
    what: str, command: str, index_dir: Path, postgresql_server: PostgresServer, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("indexer.cli.verbs.build.encoder_named", lambda *_: ThumbnailEncoder())
    parts, said = BROKEN[what]
    address = postgresql_server.url.set(**parts).render_as_string(hide_password=False)
    places = {
        "HERE": str(index_dir),
        "URL": address,
        "IN": str(index_dir.parent / "studies" / "studies.jsonl"),
    }
    assert main([places.get(word, word) for word in command.split()]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and said in error and len(error.splitlines()) == 1
    assert "wrong" not in error
    assert [path.name for path in tmp_path.iterdir()] == []


def test_an_index_of_another_encoder_is_refused_unless_asked_for(
    index_dir: Path, url: URL, tmp_path: Path
) -> None:
    publish(index_dir, url)
    source = JsonLines(write_studies(tmp_path / "studies", 3))
    other = ThumbnailEncoder("other", "1" * 64)
    for _ in range(2):
        build(source, other, tmp_path / "other")
    with pytest.raises(MismatchError) as error:
        publish(tmp_path / "other", url)
    assert str(error.value) == (
        f"{shown(url)} holds an index of encoder 'thumbnail' (weights 000000000000), and this one "
        "is of 'other' (weights 111111111111): name another database, or say --replace-encoder"
    )
    with pytest.raises(MismatchError) as error:
        Retriever.open(url, other)
    assert str(error.value).startswith(f"{shown(url)} was built with encoder 'thumbnail'")
    publish(tmp_path / "other", url, PublishOptions(replace_encoder=True))
    retriever = Retriever.open(url, other)
    assert retriever.index.manifest.version == 2
    retriever.index.close()


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (99, "holds an index that a newer release of the program published: update the program"),
        (1, "holds an index that an older release of the program published: publish the index"),
    ],
)
def test_tables_of_another_release_are_refused(
    index_dir: Path, url: URL, layout: int, said: str
) -> None:
    publish(index_dir, url)
    run_sql(url, f"UPDATE index_versions SET layout = {layout}")
    with pytest.raises(MismatchError, match=said):
        open_index(url)


def test_nothing_follows_what_a_newer_release_published(tmp_path: Path, url: URL) -> None:
    root, encoder = tmp_path / "index", ThumbnailEncoder()
    build(JsonLines(write_studies(tmp_path / "one", 8)), encoder, root)
    publish(root, url)
    run_sql(url, "UPDATE index_versions SET layout = 99")
    add(JsonLines(write_studies(tmp_path / "two", 2), name="more"), encoder, root)
    with pytest.raises(MismatchError, match="that a newer release of the program published"):
        publish(root, url)
    run_sql(url, "UPDATE index_versions SET layout = 2 WHERE version = 1")
    index = open_index(url)
    assert index.manifest.studies == 8
    index.close()


def test_a_manifest_of_a_newer_format_is_refused(index_dir: Path, url: URL) -> None:
    publish(index_dir, url)
    run_sql(
        url,
        "UPDATE index_versions SET manifest = "
        "replace(manifest, '\"format_version\": 4', '\"format_version\": 5')",
    )
    with pytest.raises(MismatchError, match="has index format 5, but this program reads 1 to 4"):
        open_index(url)
