"""Searches of an index in PostgreSQL: by rules, exactly or by HNSW, whose recall is measured."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import URL

from bench.index.server_equality import Searches, selective
from db.errors import NotFoundError, UserError
from db.index.published import PublishedVersion
from db.index.selection import Selection, names_all
from db.index.vector_rows import MOST_EF_SEARCH
from indexer.build import build
from indexer.index import Index
from indexer.published import recall
from indexer.published.opening import open_index
from indexer.published.publish import PublishOptions, publish
from indexer.sources.jsonl import JsonLines
from indexer.vectors.options import SelectivityClass, ServerSpec
from indexer.vectors.published import search_rows
from tests.support.builds import STUDIES, an_index_to_publish
from tests.support.databases import PostgresServer, run_sql
from tests.support.fakes import ThumbnailEncoder, write_studies

BY_HNSW = PublishOptions(hnsw_from=1, exact_rows=0)


@pytest.fixture(autouse=True)
def few_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.published.recall._QUERIES", 20)


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_index_to_publish(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def exact_url(postgresql_server: PostgresServer, index_dir: Path) -> URL:
    url = postgresql_server.empty()
    publish(index_dir, url)
    return url


@pytest.fixture
def url(postgresql_server: PostgresServer) -> URL:
    return postgresql_server.empty()


@pytest.fixture
def published(exact_url: URL) -> Iterator[Index]:
    index = open_index(exact_url)
    yield index
    index.close()


def test_exact_searches_have_the_same_hits_scores_and_order(
    published: Index, index_dir: Path
) -> None:
    index = Index.open(index_dir)
    files, server, draws = selective(index), selective(published), Searches(index, 3)
    found_some = 0
    for number in range(150):
        query, selection, k = draws.query(), draws.selection(), 1 + number % 30
        ids, scores = files.select(query, k, selection)
        found, theirs = server.select(query, k, selection)
        assert np.array_equal(found, ids) and np.array_equal(theirs, scores), (k, selection)
        found_some += len(ids) > 0
    assert found_some > 75


def test_listed_ids_are_excluded_and_searched_alone(published: Index, index_dir: Path) -> None:
    vectors, draw = Index.open(index_dir).vectors, np.random.default_rng(7)
    for number in range(60):
        query = vectors.vector(number)
        rules = {"exclude": draw.permutation(STUDIES + 9)[: int(draw.integers(0, STUDIES + 9))]}
        if number % 2:
            rules["only"] = draw.permutation(STUDIES + 9)[: int(draw.integers(0, STUDIES + 9))]
        ids, scores = vectors.search(query, 9, **rules)
        found, theirs = published.vectors.search(query, 9, **rules)
        assert np.array_equal(found, ids) and np.array_equal(theirs, scores), rules


def test_a_quarter_of_a_million_excluded_patients_are_no_burden(published: Index) -> None:
    patients = tuple(f"p{number}" for number in range(2, 250_000))
    ids, _ = selective(published).select(
        published.vectors.vector(0), 20, Selection(without_patients=patients)
    )
    assert sorted(ids) == [0, 1, 2, 3, 4, 5]


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


def test_hnsw_proposes_and_float32_decides(
    index_dir: Path, url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = publish(index_dir, url, BY_HNSW)
    assert manifest.server is not None
    measured = {one.share: one for one in manifest.server.classes}
    assert list(measured) == [1.0, 0.5, 0.25, 0.1, 0.01, 0.001]
    assert all(one.recall >= 0.97 for one in measured.values())
    assert all(measured[share].ef_search > 0 for share in (1.0, 0.5, 0.25, 0.1))
    assert measured[0.01].ef_search == measured[0.001].ef_search == 0
    published, index = open_index(url), Index.open(index_dir)
    assert published.manifest == manifest
    asked = []

    def plan(self: ServerSpec, left: int, count: int) -> int:
        asked.append(chosen := measured[0.1].ef_search if left >= 6 else 0)
        return chosen

    monkeypatch.setattr(ServerSpec, "ef_search", plan)
    files, server, draws = selective(index), selective(published), Searches(index, 4)
    for _ in range(60):
        query, selection = draws.query(), draws.selection()
        ids, scores = files.select(query, 5, selection)
        found, theirs = server.select(query, 5, selection)
        assert np.array_equal(found, ids) and np.array_equal(theirs, scores), selection
    assert 10 < np.count_nonzero(asked) < 60
    published.close()


def test_a_class_in_which_hnsw_finds_too_few_is_searched_exactly(
    index_dir: Path, url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall, "TARGET_RECALL", 2.0)
    monkeypatch.setattr(recall, "MOST_EXACT", STUDIES / 2)
    manifest = publish(index_dir, url, BY_HNSW)
    assert manifest.server is not None
    by_hnsw = {one.share for one in manifest.server.classes if one.ef_search}
    assert by_hnsw == {1.0, 0.5}


def test_hnsw_is_used_by_its_index_and_filters_by_theirs(index_dir: Path, url: URL) -> None:
    publish(index_dir, url, BY_HNSW)
    version, seen = PublishedVersion.open(url), []
    rule = Selection(labels=(names_all(["Edema"]),), without_patients=("p1",))
    with version.reading() as rows:
        run = rows._run
        rows._run = lambda sql, values=(): (
            (
                seen.append(run(f"EXPLAIN {sql}", values).scalars().all())
                if sql.startswith("SELECT case_id")
                else None
            )
            or run(sql, values)
        )
        query = np.eye(64, dtype=np.float32)[0]
        rows.proposed(query, 5, rule, proposed=20, ef_search=100)
        rows._run("SET LOCAL enable_seqscan = off")  # the table is one page
        rows.nearest(query, 5, rule)
    version.close()
    by_hnsw, exactly = ("\n".join(plan) for plan in seen)
    assert "Index Scan using vectors_hnsw" in by_hnsw and "hashed SubPlan" in by_hnsw
    assert "vectors_states" in exactly and "vectors_hnsw" not in exactly


def test_the_class_of_a_search_is_the_next_finer_one() -> None:
    classes = tuple(
        SelectivityClass(share=share, ef_search=ef, recall=1.0, queries=1)
        for share, ef in ((1.0, 100), (0.5, 200), (0.1, 400), (0.01, 0))
    )
    spec = ServerSpec(classes=classes, exact_rows=2_000)
    found = [spec.ef_search(left, 100_000) for left in (100_000, 99_999, 50_000, 49_999, 10_000)]
    assert found == [100, 200, 200, 400, 400]
    assert [spec.ef_search(left, 100_000) for left in (9_999, 2_001, 2_000, 0)] == [0, 0, 0, 0]
    assert replace(spec, exact_rows=60_000).ef_search(50_000, 100_000) == 0
    assert ServerSpec().ef_search(100_000, 100_000) == 0


def test_a_recall_that_is_too_low_publishes_nothing_unless_told(
    index_dir: Path, url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(*given, **more):
        ids, scores = search_rows(*given, **more)
        return ids[:-1], scores[:-1]

    monkeypatch.setattr("indexer.published.recall.search_rows", worse)
    monkeypatch.setattr("indexer.published.recall._EF_SEARCH", (MOST_EF_SEARCH,))
    with pytest.raises(UserError, match=r"HNSW finds 0\.900 of the 10 nearest cases, less than"):
        publish(index_dir, url, BY_HNSW)
    with pytest.raises(NotFoundError, match="holds no index: publish one"):
        open_index(url)
    told = replace(BY_HNSW, min_recall=0.0)
    manifest = publish(index_dir, url, told)
    assert manifest.server is not None
    whole, half = manifest.server.classes[:2]
    assert whole.ef_search == MOST_EF_SEARCH and whole.recall == pytest.approx(0.9)
    assert (half.ef_search, half.recall) == (0, 1.0), "half of few cases is searched exactly"
    with pytest.raises(UserError, match=r"min_recall must be between 0 and 1, not 1\.1"):
        PublishOptions(min_recall=1.1)
