"""Change an index on a server: build, add, remove, merge and verify, by the commands."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from db.engines.location import shown
from db.errors import UserError
from db.index.published import PublishedVersion, version_numbers
from indexer.__main__ import main
from indexer.build import build
from indexer.index import Index
from indexer.published.opening import open_index, read_manifests
from indexer.published.publish import PublishOptions
from indexer.published.verify import verify_published
from indexer.published.working_copy import UNPUBLISHED, working_copy
from indexer.sources.jsonl import JsonLines
from tests.support.databases import PostgresServer, run_sql
from tests.support.fakes import ThumbnailEncoder, write_studies

Run = Callable[..., str]


@pytest.fixture
def url(postgresql_server: PostgresServer) -> URL:
    return postgresql_server.empty()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a verb in a folder of its own and returns what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("indexer.cli.verbs.build.encoder_named", lambda *_: ThumbnailEncoder())

    def command(*arguments: object, code: int = 0) -> str:
        given = [
            one.render_as_string(hide_password=False) if isinstance(one, URL) else str(one)
            for one in arguments
        ]
        assert main(given) == code
        said = capsys.readouterr()
        return said.err if code and said.err else said.out

    return command


def studies(folder: Path, count: int, **more: Any) -> tuple[str, ...]:
    return "--source", "jsonl", "--data-dir", str(write_studies(folder, count, **more))


def patients(url: URL) -> set[str | None]:
    index = open_index(url)
    found = {case.patient_id for case in index.cases}
    index.close()
    return found


def test_an_index_is_built_extended_and_verified_on_a_server(
    run: Run, url: URL, tmp_path: Path
) -> None:
    said = run("build", *studies(tmp_path / "one", 6), "--out", url)
    assert f"6 studies with 6 images indexed in {shown(url)}" in said and "version 1" in said
    said = run("add", url, *studies(tmp_path / "two", 9))
    assert "3 studies added" in said and f"9 studies with 9 images indexed in {shown(url)}" in said
    assert version_numbers(url) == [2, 1]
    here = tmp_path / "here"
    build(JsonLines(tmp_path / "one" / "studies.jsonl"), ThumbnailEncoder(), here)
    assert read_manifests(url)[1].fingerprint == Index.open(here).manifest.fingerprint
    assert f"{shown(url)}: whole" in run("verify", url)
    said = run("info", url)
    assert f"index        {shown(url)}" in said and "every search is exact" in said
    assert "kept       1 of" in said
    left = sorted(path.name for path in (tmp_path / UNPUBLISHED).glob("*/index/*"))
    assert left == ["build.log"]


def test_nothing_new_publishes_nothing(run: Run, url: URL, tmp_path: Path) -> None:
    run("build", *studies(tmp_path / "one", 4), "--out", url)
    assert "0 studies added" in run("add", url, *studies(tmp_path / "one", 4))
    assert version_numbers(url) == [1]


def test_a_build_anew_follows_the_version_on_the_server(run: Run, url: URL, tmp_path: Path) -> None:
    run("build", *studies(tmp_path / "one", 5), "--out", url)
    run("remove", url, "--patient", "p2", "--no-db")
    assert patients(url) == {"p0", "p1", "p3", "p4"}
    run("build", *studies(tmp_path / "one", 5), "--out", url)
    manifest = read_manifests(url)[0]
    assert (manifest.version, [past.version for past in manifest.history]) == (3, [1, 2])
    assert patients(url) == {"p0", "p1", "p3", "p4"}  # consent stays withdrawn


def test_a_removed_patient_is_in_no_version_on_the_server(
    run: Run, url: URL, tmp_path: Path
) -> None:
    run("build", *studies(tmp_path / "one", 5), "--out", url)
    run("add", url, *studies(tmp_path / "two", 8))
    run("remove", url, "--study", "s7")
    assert version_numbers(url) == [3, 2]
    said = run("remove", url, "--patient", "p7", "--no-db")  # only in an earlier version
    assert "patient 'p7' removed: 0 studies fewer" in said
    said = run("remove", url, "--patient", "p1", "--no-db", "--json")
    assert json.loads(said)["removed"]["cases"] == 1
    [number] = version_numbers(url)
    assert number == 5 and not {"p1", "p7"} & patients(url)
    version = PublishedVersion.open(url)
    content = b"".join(part for name in version.file_names() for part in version.parts(name))
    version.close()
    assert b"p2" in content and b"p7" not in content
    assert "holds p" not in run("verify", url)
    assert "holds patient 'p1'" in run("remove", url, "--patient", "p1", "--no-db", code=1)


def test_indexes_are_merged_from_and_to_servers(
    run: Run, url: URL, tmp_path: Path, postgresql_server: PostgresServer
) -> None:
    other = postgresql_server.empty()
    run("build", *studies(tmp_path / "one", 4), "--out", url)
    lines = (tmp_path / "one" / "studies.jsonl").read_text().replace(': "p', ': "q')
    (tmp_path / "one" / "more.jsonl").write_text(lines.replace(': "s', ': "t'))
    here = tmp_path / "here"
    build(JsonLines(tmp_path / "one" / "more.jsonl"), ThumbnailEncoder(), here)
    assert f"8 studies with 8 images merged into {shown(other)}" in run(
        "merge", url, here, "--out", other
    )
    assert patients(other) == {f"{letter}{number}" for letter in "pq" for number in range(4)}
    assert not verify_published(other)


def test_another_encoder_is_refused_before_anything_is_embedded(
    run: Run, url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("build", *studies(tmp_path / "one", 3), "--out", url)
    other = ThumbnailEncoder("other", "1" * 64)
    monkeypatch.setattr("indexer.cli.verbs.build.encoder_named", lambda *_: other)
    monkeypatch.setattr("indexer.cli.verbs.build.build", None)
    said = run("build", *studies(tmp_path / "two", 3), "--out", url, code=1)
    assert "holds an index of encoder 'thumbnail'" in said and "--replace-encoder" in said
    assert version_numbers(url) == [1]


def test_what_cannot_be_published_is_kept_and_named(
    run: Run, url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = studies(tmp_path / "one", 3)

    def refuse(*_: object) -> None:
        raise UserError("the server is full")

    def refused(*arguments: object) -> str:
        with monkeypatch.context() as patch:
            patch.setattr("indexer.published.working_copy.publish", refuse)
            return run(*arguments, code=1)

    said = refused("build", *made, "--out", url)
    (kept,) = (tmp_path / UNPUBLISHED).glob("*/index")
    assert f"error: the server is full (what was made is kept in {kept.relative_to(tmp_path)})" in (
        said
    )
    again = run("build", *made, "--out", url, code=1)
    assert "holds version 1, which was not published" in again
    run("publish", kept, url)
    assert version_numbers(url) == [1] and len(patients(url)) == 3
    shutil.rmtree(kept)
    more = studies(tmp_path / "two", 5)
    assert "the server is full" in refused("add", url, *more)
    assert "holds version 2, which was not published" in run("add", url, *more, code=1)


def test_two_who_change_an_index_at_once_do_not_undo_each_other(
    run: Run, url: URL, tmp_path: Path
) -> None:
    run("build", *studies(tmp_path / "one", 4), "--out", url)
    options = PublishOptions()
    with (
        pytest.raises(UserError, match="has version 2 already, later than version 2 or of another"),
        working_copy(url, options, folder=tmp_path / "elsewhere") as slower,
    ):
        run("remove", url, "--study", "s1")
        assert main(["remove", str(slower), "--study", "s2"]) == 0
    assert patients(url) == {"p0", "p2", "p3"}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE files SET content = '' WHERE name = 'vectors.faiss'", "vectors.faiss in .* was"),
        ("UPDATE vectors SET states = 0 WHERE case_id = 1", "states beside the vector of case 1"),
        ("DELETE FROM label_sets", "counts of label sets are not those of the cases"),
        (
            "UPDATE vectors SET embedding = (SELECT embedding FROM vectors WHERE case_id = 2) "
            "WHERE case_id = 1",
            "cases and vectors are not those described by the manifest",
        ),
        ("UPDATE cases SET findings = 'Other.' WHERE id = 0", "cases and vectors are not those"),
        ("DELETE FROM vectors WHERE case_id = 3", "damaged: the manifest counts 4 studies"),
        ("DELETE FROM image_vectors WHERE place = 0", "holds 3 vectors of images instead of 4"),
    ],
)
def test_damage_on_the_server_is_found(
    url: URL, tmp_path: Path, damage: str, said: str, published_four: None
) -> None:
    version = PublishedVersion.open(url)
    version.close()
    run_sql(url, f'SET search_path TO "{version.schema}", public', damage)
    problems = verify_published(url)
    assert any(re.search(said, one.what) for one in problems), problems


@pytest.fixture
def published_four(url: URL, tmp_path: Path) -> None:
    with working_copy(url, empty=True, folder=tmp_path / "work") as index_dir:
        build(JsonLines(write_studies(tmp_path / "in", 4)), ThumbnailEncoder(), index_dir)
